/* The contract of os/file.h, shown on the real disk and on the simulated one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/assert.h"
#include "disk_real.h"
#include "os/file.h"
#include "os/sim_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct t_disk {
    struct os_disk *disk;
    struct os_sim_disk *sim; /* NULL: real */
    char folder[64];
};

static const char *
t_path(const struct t_disk *t, const char *name)
{
    static char paths[4][128];
    static size_t at;
    at = (at + 1) % 4;
    (void)snprintf(paths[at], sizeof(paths[at]), "%s/%s", t->folder, name);
    return paths[at];
}

static int
setup_real(void **state)
{
    static struct t_disk t;
    t = (struct t_disk){.disk = os_disk_real(), .folder = "os-disk-test-XXXXXX"};
    ASSERT(mkdtemp(t.folder) != NULL);
    *state = &t;
    return 0;
}

static void
remove_one(void *context, const char *name)
{
    struct t_disk *t = context;
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/%s", t->folder, name);
    (void)remove(path);
}

static int
teardown_real(void **state)
{
    struct t_disk *t = *state;
    err_t result = t->disk->ops->list(t->disk, t->folder, remove_one, t);
    ASSERT(result == ERR_OK);
    return rmdir(t->folder);
}

static int
setup_sim(void **state)
{
    static struct t_disk t;
    t = (struct t_disk){.folder = "/data"};
    struct os_sim_disk_settings settings = {.seed = 1, .faults = true};
    err_t result = os_sim_disk_create(&settings, &t.sim);
    ASSERT(result == ERR_OK);
    t.disk = os_sim_disk_ops(t.sim);
    result = t.disk->ops->make_folder(t.disk, t.folder);
    ASSERT(result == ERR_OK);
    *state = &t;
    return 0;
}

static int
setup_memory(void **state)
{
    static struct t_disk t;
    t = (struct t_disk){.folder = "data/here"};
    struct os_sim_disk_settings settings = {.faults = false};
    err_t result = os_sim_disk_create(&settings, &t.sim);
    ASSERT(result == ERR_OK);
    t.disk = os_sim_disk_ops(t.sim);
    result = t.disk->ops->make_folder(t.disk, "data");
    ASSERT(result == ERR_OK);
    result = t.disk->ops->make_folder(t.disk, t.folder);
    ASSERT(result == ERR_OK);
    *state = &t;
    return 0;
}

static int
teardown_sim(void **state)
{
    struct t_disk *t = *state;
    os_sim_disk_destroy(&t->sim);
    return 0;
}

static struct os_file *
t_create(struct t_disk *t, const char *name)
{
    struct os_file *file = NULL;
    const char *path = t_path(t, name);
    err_t result = t->disk->ops->open(t->disk, path, OS_OPEN_CREATE, false, &file, NULL);
    assert_int_equal(result, ERR_OK);
    return file;
}

static err_t
t_open(struct t_disk *t, const char *name, enum os_open_mode mode)
{
    struct os_file *file = NULL;
    err_t result = t->disk->ops->open(t->disk, t_path(t, name), mode, false, &file, NULL);
    if (result == ERR_OK) {
        t->disk->ops->close(t->disk, file);
    }
    return result;
}

static void
open_modes(void **state)
{
    struct t_disk *t = *state;
    assert_int_equal(t_open(t, "a", OS_OPEN_READ), ERR_NOT_FOUND);
    assert_int_equal(t_open(t, "a", OS_OPEN_WRITE), ERR_NOT_FOUND);
    assert_int_equal(t_open(t, "a", OS_OPEN_CREATE), ERR_OK);
    assert_int_equal(t_open(t, "a", OS_OPEN_CREATE), ERR_EXISTS);
    assert_int_equal(t_open(t, "a", OS_OPEN_READ), ERR_OK);
    assert_int_equal(t_open(t, "a", OS_OPEN_WRITE), ERR_OK);
    assert_int_equal(t_open(t, "no/a", OS_OPEN_CREATE), ERR_NOT_FOUND);
    assert_int_equal(t_open(t, ".", OS_OPEN_READ), ERR_INVALID);
}

static void
reads_what_was_written(void **state)
{
    struct t_disk *t = *state;
    const struct os_disk_ops *ops = t->disk->ops;
    struct os_file *file = t_create(t, "f");
    char in[3000];
    char out[3000];
    for (size_t i = 0; i < sizeof(in); i++) {
        in[i] = (char)(i * 7);
    }
    assert_int_equal(ops->write(t->disk, file, in, sizeof(in), 262144 - 1000), ERR_OK);
    uint64_t size;
    assert_int_equal(ops->size(t->disk, file, &size), ERR_OK);
    assert_int_equal(size, 262144 + 2000);
    assert_int_equal(ops->read(t->disk, file, out, sizeof(out), 262144 - 1000), ERR_OK);
    assert_memory_equal(in, out, sizeof(in));
    assert_int_equal(ops->read(t->disk, file, out, 100, 0), ERR_OK);
    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(out[i], 0);
    }
    assert_int_equal(ops->read(t->disk, file, out, 1, size), ERR_INCOMPLETE);
    assert_int_equal(ops->read(t->disk, file, out, 2, size - 1), ERR_INCOMPLETE);
    assert_int_equal(ops->read(t->disk, file, out, 1, size - 1), ERR_OK);
    assert_int_equal(ops->sync(t->disk, file), ERR_OK);
    ops->close(t->disk, file);
}

static void
allocate_and_truncate(void **state)
{
    struct t_disk *t = *state;
    const struct os_disk_ops *ops = t->disk->ops;
    struct os_file *file = t_create(t, "f");
    uint64_t size = 0;
    char byte = 'x';
    assert_int_equal(ops->allocate(t->disk, file, 1 << 20), ERR_OK);
    assert_int_equal(ops->size(t->disk, file, &size), ERR_OK);
    assert_int_equal(size, 1 << 20);
    assert_int_equal(ops->read(t->disk, file, &byte, 1, (1 << 20) - 1), ERR_OK);
    assert_int_equal(byte, 0);
    assert_int_equal(ops->allocate(t->disk, file, 1 << 10), ERR_OK);
    assert_int_equal(ops->size(t->disk, file, &size), ERR_OK);
    assert_int_equal(size, 1 << 20);
    assert_int_equal(ops->write(t->disk, file, "abcd", 4, 1000), ERR_OK);
    assert_int_equal(ops->truncate(t->disk, file, 1002), ERR_OK);
    assert_int_equal(ops->truncate(t->disk, file, 2000), ERR_OK);
    char out[4];
    assert_int_equal(ops->read(t->disk, file, out, 4, 1000), ERR_OK);
    assert_memory_equal(out, "ab\0\0", 4);
    assert_int_equal(ops->read(t->disk, file, out, 1, 2000), ERR_INCOMPLETE);
    ops->close(t->disk, file);
}

struct t_names {
    char text[256];
};

static void
append_name(void *context, const char *name)
{
    struct t_names *names = context;
    size_t size = strlen(names->text);
    (void)snprintf(names->text + size, sizeof(names->text) - size, "%s ", name);
}

static void
names(void **state)
{
    struct t_disk *t = *state;
    const struct os_disk_ops *ops = t->disk->ops;
    const char *const created[] = {"b", "a.2", "a", "a-1", "c"};
    for (size_t i = 0; i < 5; i++) {
        ops->close(t->disk, t_create(t, created[i]));
    }
    assert_int_equal(ops->make_folder(t->disk, t_path(t, "z")), ERR_OK);
    assert_int_equal(ops->make_folder(t->disk, t_path(t, "z")), ERR_OK);
    assert_int_equal(ops->make_folder(t->disk, t_path(t, "a")), ERR_EXISTS);
    assert_int_equal(ops->make_folder(t->disk, t_path(t, "no/no")), ERR_NOT_FOUND);
    assert_int_equal(ops->rename(t->disk, t_path(t, "b"), t_path(t, "d")), ERR_OK);
    assert_int_equal(ops->rename(t->disk, t_path(t, "d"), t_path(t, "c")), ERR_OK);
    assert_int_equal(ops->rename(t->disk, t_path(t, "b"), t_path(t, "e")), ERR_NOT_FOUND);
    assert_int_equal(ops->rename(t->disk, t_path(t, "c"), t_path(t, "z/c")), ERR_UNSUPPORTED);
    assert_int_equal(ops->remove(t->disk, t_path(t, "a.2")), ERR_OK);
    assert_int_equal(ops->remove(t->disk, t_path(t, "a.2")), ERR_NOT_FOUND);
    assert_int_equal(ops->remove(t->disk, t_path(t, "z")), ERR_INVALID);
    assert_int_equal(ops->sync_folder(t->disk, t->folder), ERR_OK);
    assert_int_equal(ops->sync_folder(t->disk, t_path(t, "no")), ERR_NOT_FOUND);
    struct t_names listed = {""};
    assert_int_equal(ops->list(t->disk, t->folder, append_name, &listed), ERR_OK);
    assert_string_equal(listed.text, "a a-1 c z ");
    assert_int_equal(ops->list(t->disk, t_path(t, "no"), append_name, &listed), ERR_NOT_FOUND);
}

static void
a_removed_file_lives_while_it_is_open(void **state)
{
    struct t_disk *t = *state;
    const struct os_disk_ops *ops = t->disk->ops;
    struct os_file *file = t_create(t, "f");
    assert_int_equal(ops->write(t->disk, file, "abc", 3, 0), ERR_OK);
    assert_int_equal(ops->remove(t->disk, t_path(t, "f")), ERR_OK);
    struct os_file *other = t_create(t, "f");
    char out[3];
    assert_int_equal(ops->read(t->disk, file, out, 3, 0), ERR_OK);
    assert_memory_equal(out, "abc", 3);
    assert_int_equal(ops->read(t->disk, other, out, 1, 0), ERR_INCOMPLETE);
    ops->close(t->disk, other);
    ops->close(t->disk, file);
}

static void
direct_transfers(void **state)
{
    struct t_disk *t = *state;
    const struct os_disk_ops *ops = t->disk->ops;
    struct os_file *file;
    bool direct = false;
    assert_int_equal(
        ops->open(t->disk, t_path(t, "f"), OS_OPEN_CREATE, true, &file, &direct), ERR_OK);
    char *memory = aligned_alloc(OS_DIRECT_ALIGNMENT, 2 * OS_DIRECT_ALIGNMENT);
    assert_non_null(memory);
    memset(memory, 'd', 2 * OS_DIRECT_ALIGNMENT);
    assert_int_equal(ops->allocate(t->disk, file, 4 * OS_DIRECT_ALIGNMENT), ERR_OK);
    assert_int_equal(
        ops->write(t->disk, file, memory, 2 * OS_DIRECT_ALIGNMENT, OS_DIRECT_ALIGNMENT), ERR_OK);
    assert_int_equal(ops->sync(t->disk, file), ERR_OK);
    assert_int_equal(ops->read(t->disk, file, memory, OS_DIRECT_ALIGNMENT, 0), ERR_OK);
    assert_int_equal(memory[0], 0);
    assert_int_equal(
        ops->read(t->disk, file, memory, OS_DIRECT_ALIGNMENT, 2 * OS_DIRECT_ALIGNMENT), ERR_OK);
    assert_int_equal(memory[OS_DIRECT_ALIGNMENT - 1], 'd');
    assert_int_equal(
        ops->read(t->disk, file, memory, 2 * OS_DIRECT_ALIGNMENT, 3 * OS_DIRECT_ALIGNMENT),
        ERR_INCOMPLETE);
    ops->close(t->disk, file);
    free(memory);
}

static void
one_lock_at_a_time(void **state)
{
    struct t_disk *t = *state;
    const struct os_disk_ops *ops = t->disk->ops;
    struct os_file *first = t_create(t, "LOCK");
    struct os_file *second;
    assert_int_equal(
        ops->open(t->disk, t_path(t, "LOCK"), OS_OPEN_READ, false, &second, NULL), ERR_OK);
    assert_int_equal(ops->lock(t->disk, first), ERR_OK);
    assert_int_equal(ops->lock(t->disk, first), ERR_OK);
    assert_int_equal(ops->lock(t->disk, second), ERR_LOCKED);
    ops->close(t->disk, first);
    assert_int_equal(ops->lock(t->disk, second), ERR_OK);
    ops->close(t->disk, second);
}

static void
save_and_load(void **state)
{
    struct t_disk *t = *state;
    char *text;
    size_t size;
    assert_int_equal(os_file_save(t->disk, t->folder, "key", SPAN("first")), ERR_OK);
    assert_int_equal(os_file_save(t->disk, t->folder, "key", SPAN("second!")), ERR_OK);
    /* What a crash left behind is in nobody's way. */
    t->disk->ops->close(t->disk, t_create(t, "key.tmp"));
    assert_int_equal(os_file_save(t->disk, t->folder, "key", SPAN("third")), ERR_OK);
    assert_int_equal(t_open(t, "key.tmp", OS_OPEN_READ), ERR_NOT_FOUND);
    assert_int_equal(os_file_load(t->disk, t_path(t, "key"), 4, &text, &size), ERR_FULL);
    assert_int_equal(os_file_load(t->disk, t_path(t, "key"), 5, &text, &size), ERR_OK);
    assert_int_equal(size, 5);
    assert_string_equal(text, "third");
    free(text);
    assert_int_equal(os_file_load(t->disk, t_path(t, "no"), 5, &text, &size), ERR_NOT_FOUND);
    assert_int_equal(os_file_save(t->disk, t->folder, "empty", SPAN_EMPTY), ERR_OK);
    assert_int_equal(os_file_load(t->disk, t_path(t, "empty"), 0, &text, &size), ERR_OK);
    assert_int_equal(size, 0);
    free(text);
    assert_int_equal(os_file_save(t->disk, t_path(t, "no"), "key", SPAN("x")), ERR_NOT_FOUND);
}

static void
files_and_folders_are_their_owners_only(void **state)
{
    struct t_disk *t = *state;
    struct stat status;
    t->disk->ops->close(t->disk, t_create(t, "f"));
    assert_int_equal(stat(t_path(t, "f"), &status), 0);
    assert_int_equal(status.st_mode & 077, 0);
    assert_int_equal(t->disk->ops->make_folder(t->disk, t_path(t, "d")), ERR_OK);
    assert_int_equal(stat(t_path(t, "d"), &status), 0);
    assert_int_equal(status.st_mode & 077, 0);
}

static void
reserving_works_without_the_file_systems_help(void **state)
{
    struct t_disk *t = *state;
    int fd = open(t_path(t, "slow"), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(os_disk_allocate_slowly(fd, 100000), ERR_OK);
    struct stat status;
    assert_int_equal(fstat(fd, &status), 0);
    assert_int_equal(status.st_size, 100000);
    assert_true(status.st_blocks * 512 >= 100000);
    (void)close(fd);
}

static void
errno_has_a_meaning(void **state)
{
    (void)state;
    assert_int_equal(os_disk_err(ENOSPC), ERR_DISK_FULL);
    assert_int_equal(os_disk_err(EDQUOT), ERR_DISK_FULL);
    assert_int_equal(os_disk_err(EIO), ERR_IO);
    assert_int_equal(os_disk_err(EACCES), ERR_DENIED);
    assert_int_equal(os_disk_err(ENOENT), ERR_NOT_FOUND);
    assert_int_equal(os_disk_err(EMFILE), ERR_FULL);
}

#define T_DISK(setup, teardown, f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define T_EACH(setup, teardown)                                                                    \
    T_DISK(setup, teardown, open_modes), T_DISK(setup, teardown, reads_what_was_written),          \
        T_DISK(setup, teardown, allocate_and_truncate), T_DISK(setup, teardown, names),            \
        T_DISK(setup, teardown, a_removed_file_lives_while_it_is_open),                            \
        T_DISK(setup, teardown, direct_transfers), T_DISK(setup, teardown, one_lock_at_a_time),    \
        T_DISK(setup, teardown, save_and_load)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T_EACH (setup_real, teardown_real),
        T_EACH (setup_sim, teardown_sim),
        T_EACH (setup_memory, teardown_sim),
        T_DISK(setup_real, teardown_real, files_and_folders_are_their_owners_only),
        T_DISK(setup_real, teardown_real, reserving_works_without_the_file_systems_help),
        cmocka_unit_test(errno_has_a_meaning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
