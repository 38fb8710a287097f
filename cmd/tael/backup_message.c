#include "backup_message.h"

#include <stdarg.h>
#include <stdio.h>

err_t
backup_fail(char message[BACKUP_MESSAGE_SIZE], err_t code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized)
    (void)vsnprintf(message, BACKUP_MESSAGE_SIZE, format, arguments);
    va_end(arguments);
    return code;
}

err_t
backup_fail_at(char message[BACKUP_MESSAGE_SIZE], err_t code, const char *path)
{
    return backup_fail(message, code, "%s: %s", path, err_text(code));
}

err_t
backup_place(
    char message[BACKUP_MESSAGE_SIZE],
    const char *to,
    char out[OS_PATH_SIZE],
    const char *format,
    ...)
{
    va_list arguments;
    va_start(arguments, format);
    // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized)
    int length = vsnprintf(out, OS_PATH_SIZE, format, arguments);
    va_end(arguments);
    return length > 0 && length < OS_PATH_SIZE ? ERR_OK : backup_fail_at(message, ERR_RANGE, to);
}
