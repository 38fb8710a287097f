/* A file that is only ever appended to, such as a log: opened, written, closed. Calls block. */
#ifndef OS_APPEND_H
#define OS_APPEND_H

#include "base/err.h"
#include "base/span.h"

/* Made with mode 0640 if it is not there. "-" is standard error, which close leaves open. */
MUST_USE err_t os_append_open(const char *path, int *ret_fd);
/* All of it, or an error: then a part may have been written. */
MUST_USE err_t os_append_write(int fd, struct span text);
void os_append_close(int fd);

#endif
