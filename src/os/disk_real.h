/* The parts of the real disk that a test reaches by name. */
#ifndef OS_DISK_REAL_H
#define OS_DISK_REAL_H

#include "base/err.h"

/* What file calls mean by an errno. */
err_t os_disk_err(int error_number);
/* For file systems without fallocate: reserves by writing. */
MUST_USE err_t os_disk_allocate_slowly(int fd, uint64_t size);

#endif
