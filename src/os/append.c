#include "os/append.h"

#include "base/assert.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define MODE 0640

err_t
os_append_open(const char *path, int *ret_fd)
{
    if (strcmp(path, "-") == 0) {
        *ret_fd = STDERR_FILENO;
        return ERR_OK;
    }
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, MODE);
    if (fd < 0) {
        return err_from_errno(errno);
    }
    *ret_fd = fd;
    return ERR_OK;
}

err_t
os_append_write(int fd, struct span text)
{
    ASSERT(fd >= 0);
    while (text.size > 0) {
        ssize_t written = write(fd, text.data, text.size);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return written == 0 ? ERR_IO : err_from_errno(errno);
        }
        text = span_slice(text, (size_t)written, text.size);
    }
    return ERR_OK;
}

void
os_append_close(int fd)
{
    if (fd > STDERR_FILENO) {
        (void)close(fd);
    }
}
