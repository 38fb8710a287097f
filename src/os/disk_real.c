/* The machine's disk: plain POSIX calls, restarted after signals and short counts. */
#include "disk_real.h"

#include "base/assert.h"
#include "names.h"
#include "os/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct os_file {
    int fd;
    bool direct;
    bool writable;
};

err_t
os_disk_err(int error_number)
{
    switch (error_number) {
    case ENOENT:
    case ENOTDIR:
        return ERR_NOT_FOUND;
    case EEXIST:
        return ERR_EXISTS;
    case EACCES:
    case EPERM:
    case EROFS:
        return ERR_DENIED;
    case ENOMEM:
        return ERR_MEMORY;
    case EMFILE:
    case ENFILE:
        return ERR_FULL;
    case EDQUOT:
    case EFBIG:
        return ERR_DISK_FULL;
    case ENAMETOOLONG:
        return ERR_RANGE;
    case EISDIR:
        return ERR_INVALID;
    case EXDEV:
        return ERR_UNSUPPORTED;
    default:
        return err_from_errno(error_number);
    }
}

static int
open_flags(enum os_open_mode mode)
{
    switch (mode) {
    case OS_OPEN_READ:
        return O_RDONLY;
    case OS_OPEN_WRITE:
        return O_RDWR;
    case OS_OPEN_CREATE:
        return O_RDWR | O_CREAT | O_EXCL;
    }
    UNREACHABLE();
}

static int
open_retrying(const char *path, int flags)
{
    int fd;
    do {
        fd = open(path, flags | O_CLOEXEC, 0600);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

/* Without O_DIRECT where the file system has none; by fcntl, so that creating happens once. */
static bool
try_direct(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_DIRECT) == 0;
}

static err_t
real_open(
    struct os_disk *disk,
    const char *path,
    enum os_open_mode mode,
    bool direct,
    struct os_file **ret_file,
    bool *ret_direct)
{
    (void)disk;
    struct os_file *file = malloc(sizeof(*file));
    if (file == NULL) {
        return ERR_MEMORY;
    }
    int fd = open_retrying(path, open_flags(mode));
    if (fd < 0) {
        err_t failure = os_disk_err(errno);
        free(file);
        return failure;
    }
    struct stat status;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        (void)close(fd);
        free(file);
        return ERR_INVALID;
    }
    *file = (struct os_file){.fd = fd, .writable = mode != OS_OPEN_READ};
    file->direct = direct && try_direct(fd);
    *ret_file = file;
    if (ret_direct != NULL) {
        *ret_direct = file->direct;
    }
    return ERR_OK;
}

static void
real_close(struct os_disk *disk, struct os_file *file)
{
    (void)disk;
    if (file != NULL) {
        (void)close(file->fd); /* what matters was synced */
        free(file);
    }
}

static void
check_alignment(const struct os_file *file, const void *memory, size_t size, uint64_t offset)
{
    ASSERT(offset <= INT64_MAX && size <= (uint64_t)INT64_MAX - offset);
    if (file->direct) {
        ASSERT((uintptr_t)memory % OS_DIRECT_ALIGNMENT == 0);
        ASSERT(size % OS_DIRECT_ALIGNMENT == 0);
        ASSERT(offset % OS_DIRECT_ALIGNMENT == 0);
    }
}

static err_t
real_read(struct os_disk *disk, struct os_file *file, void *out, size_t size, uint64_t offset)
{
    (void)disk;
    check_alignment(file, out, size, offset);
    char *at = out;
    while (size > 0) {
        ssize_t got = pread(file->fd, at, size, (off_t)offset);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return os_disk_err(errno);
        }
        if (got == 0) {
            return ERR_INCOMPLETE;
        }
        /* A direct read that ends unaligned has met the end of the file. */
        if (file->direct && (size_t)got < size && got % OS_DIRECT_ALIGNMENT != 0) {
            return ERR_INCOMPLETE;
        }
        at += got;
        size -= (size_t)got;
        offset += (uint64_t)got;
    }
    return ERR_OK;
}

static err_t
real_write(
    struct os_disk *disk, struct os_file *file, const void *data, size_t size, uint64_t offset)
{
    (void)disk;
    ASSERT(file->writable);
    check_alignment(file, data, size, offset);
    const char *at = data;
    while (size > 0) {
        ssize_t put = pwrite(file->fd, at, size, (off_t)offset);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0) {
            return os_disk_err(errno);
        }
        if (put == 0) {
            return ERR_IO;
        }
        at += put;
        size -= (size_t)put;
        offset += (uint64_t)put;
    }
    return ERR_OK;
}

static err_t
real_sync(struct os_disk *disk, struct os_file *file)
{
    (void)disk;
    return fdatasync(file->fd) == 0 ? ERR_OK : os_disk_err(errno);
}

/* What it cannot do the sync does, and tells. */
static void
real_write_back(struct os_disk *disk, struct os_file *file, uint64_t offset, size_t size)
{
    (void)disk;
    ASSERT(file->writable);
    (void)sync_file_range(file->fd, (off_t)offset, (off_t)size, SYNC_FILE_RANGE_WRITE);
}

err_t
os_disk_allocate_slowly(int fd, uint64_t size)
{
    /* The C library reserves by writing single bytes, which O_DIRECT does not allow. */
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_DIRECT) != 0) {
        return os_disk_err(errno);
    }
    int result;
    do {
        result = posix_fallocate(fd, 0, (off_t)size);
    } while (result == EINTR);
    if (fcntl(fd, F_SETFL, flags) != 0) {
        return os_disk_err(errno);
    }
    return result == 0 ? ERR_OK : os_disk_err(result);
}

static err_t
real_allocate(struct os_disk *disk, struct os_file *file, uint64_t size)
{
    (void)disk;
    ASSERT(file->writable);
    ASSERT(size <= INT64_MAX);
    if (size == 0) {
        return ERR_OK;
    }
    for (;;) {
        if (fallocate(file->fd, 0, 0, (off_t)size) == 0) {
            return ERR_OK;
        }
        if (errno == EOPNOTSUPP) {
            return os_disk_allocate_slowly(file->fd, size);
        }
        if (errno != EINTR) {
            return os_disk_err(errno);
        }
    }
}

static err_t
real_truncate(struct os_disk *disk, struct os_file *file, uint64_t size)
{
    (void)disk;
    ASSERT(file->writable);
    ASSERT(size <= INT64_MAX);
    int result;
    do {
        result = ftruncate(file->fd, (off_t)size);
    } while (result != 0 && errno == EINTR);
    return result == 0 ? ERR_OK : os_disk_err(errno);
}

static err_t
real_size(struct os_disk *disk, struct os_file *file, uint64_t *ret_size)
{
    (void)disk;
    struct stat status;
    if (fstat(file->fd, &status) != 0) {
        return os_disk_err(errno);
    }
    *ret_size = (uint64_t)status.st_size;
    return ERR_OK;
}

/* Bytes before the name: the folder with its slash. */
static size_t
folder_size(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? (size_t)(slash - path) + 1 : 0;
}

static err_t
real_rename(struct os_disk *disk, const char *from, const char *to)
{
    (void)disk;
    size_t size = folder_size(from);
    if (size != folder_size(to) || strncmp(from, to, size) != 0) {
        return ERR_UNSUPPORTED;
    }
    return rename(from, to) == 0 ? ERR_OK : os_disk_err(errno);
}

static err_t
real_remove(struct os_disk *disk, const char *path)
{
    (void)disk;
    return unlink(path) == 0 ? ERR_OK : os_disk_err(errno);
}

err_t
os_folder_remove(const char *path)
{
    return rmdir(path) == 0 ? ERR_OK : os_disk_err(errno);
}

static err_t
real_make_folder(struct os_disk *disk, const char *path)
{
    (void)disk;
    if (mkdir(path, 0700) == 0) {
        return ERR_OK;
    }
    int error_number = errno;
    struct stat status;
    if (error_number == EEXIST && stat(path, &status) == 0 && S_ISDIR(status.st_mode)) {
        return ERR_OK;
    }
    return os_disk_err(error_number);
}

static err_t
real_sync_folder(struct os_disk *disk, const char *path)
{
    (void)disk;
    int fd = open_retrying(path, O_RDONLY | O_DIRECTORY);
    if (fd < 0) {
        return os_disk_err(errno);
    }
    err_t result = fsync(fd) == 0 ? ERR_OK : os_disk_err(errno);
    (void)close(fd);
    return result;
}

static err_t
names_read(struct os_names *names, DIR *folder)
{
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(folder);
        if (entry == NULL) {
            return errno == 0 ? ERR_OK : os_disk_err(errno);
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            TRY(os_names_add(names, entry->d_name));
        }
    }
}

static err_t
real_list(
    struct os_disk *disk,
    const char *path,
    void (*each)(void *context, const char *name),
    void *context)
{
    (void)disk;
    DIR *folder = opendir(path);
    if (folder == NULL) {
        return os_disk_err(errno);
    }
    struct os_names names = {0};
    err_t result = names_read(&names, folder);
    (void)closedir(folder);
    if (result == ERR_OK) {
        os_names_sort(&names);
        os_names_each(&names, each, context);
    }
    os_names_release(&names);
    return result;
}

static err_t
real_lock(struct os_disk *disk, struct os_file *file)
{
    (void)disk;
    int result;
    do {
        result = flock(file->fd, LOCK_EX | LOCK_NB);
    } while (result != 0 && errno == EINTR);
    if (result == 0) {
        return ERR_OK;
    }
    return errno == EWOULDBLOCK ? ERR_LOCKED : os_disk_err(errno);
}

static const struct os_disk_ops real_ops = {
    .open = real_open,
    .close = real_close,
    .read = real_read,
    .write = real_write,
    .sync = real_sync,
    .write_back = real_write_back,
    .allocate = real_allocate,
    .truncate = real_truncate,
    .size = real_size,
    .rename = real_rename,
    .remove = real_remove,
    .make_folder = real_make_folder,
    .sync_folder = real_sync_folder,
    .list = real_list,
    .lock = real_lock,
};

struct os_disk *
os_disk_real(void)
{
    static struct os_disk disk = {.ops = &real_ops};
    return &disk;
}
