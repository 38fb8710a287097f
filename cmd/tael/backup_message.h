/* What went wrong with a backup or a restore, in words: what and where. */
#ifndef TAEL_BACKUP_MESSAGE_H
#define TAEL_BACKUP_MESSAGE_H

#include "base/err.h"
#include "os/file.h"

#define BACKUP_MESSAGE_SIZE 1024

/* Writes the message, cut at its size; returns `code`. */
__attribute__((format(printf, 3, 4))) err_t backup_fail(
    char message[BACKUP_MESSAGE_SIZE], err_t code, const char *format, ...);
/* "PATH: " and the code's text. */
err_t backup_fail_at(char message[BACKUP_MESSAGE_SIZE], err_t code, const char *path);
/* Puts a path together. ERR_RANGE if it is too long, with a message that names `to`. */
__attribute__((format(printf, 4, 5))) MUST_USE err_t backup_place(
    char message[BACKUP_MESSAGE_SIZE],
    const char *to,
    char out[OS_PATH_SIZE],
    const char *format,
    ...);

#endif
