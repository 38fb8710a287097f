#include "base/err.h"

#include <errno.h>

enum err_category
err_category(err_t code)
{
    return (enum err_category)((uint32_t)code >> 24);
}

const char *
err_text(err_t code)
{
    switch (code) {
    case ERR_OK:
        return "success";
#define ERR_TEXT(name, category, number, text)                                                     \
    case name:                                                                                     \
        return text;
        ERR_TABLE(ERR_TEXT)
#undef ERR_TEXT
    default:
        return "unknown error";
    }
}

const char *
err_name(err_t code)
{
    switch (code) {
    case ERR_OK:
        return "ERR_OK";
#define ERR_NAME(name, category, number, text)                                                     \
    case name:                                                                                     \
        return #name;
        ERR_TABLE(ERR_NAME)
#undef ERR_NAME
    default:
        return "ERR_?";
    }
}

err_t
err_from_errno(int error_number)
{
    switch (error_number) {
    case 0:
        return ERR_OK;
    case EAGAIN:
    case EINTR:
    case EBUSY:
        return ERR_BUSY;
    case ETIMEDOUT:
        return ERR_TIMEOUT;
    case EPIPE:
    case ECONNRESET:
        return ERR_CLOSED;
    case ENOSPC:
    case EDQUOT:
        return ERR_DISK_FULL;
    case ENOMEM:
        return ERR_MEMORY;
    case EMFILE:
    case ENFILE:
        return ERR_FULL;
    case ENOENT:
        return ERR_NOT_FOUND;
    case EEXIST:
        return ERR_EXISTS;
    case EACCES:
    case EPERM:
        return ERR_DENIED;
    default:
        return ERR_IO;
    }
}
