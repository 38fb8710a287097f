/* The files in the program: made by tools/embed-files from assets/. */
#ifndef CONSOLE_FILES_H
#define CONSOLE_FILES_H

#include <stddef.h>

struct console_file {
    const char *name; /* below CONSOLE_PATH */
    const char *content_type;
    const char *etag; /* with its quotation marks */
    const char *data;
    size_t size;
};

extern const struct console_file console_files[];
extern const size_t console_file_count;

#endif
