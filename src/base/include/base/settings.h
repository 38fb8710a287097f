/*
 * One table describes a program's settings; from it come the command-line flags, the TAEL_*
 * environment variables, the configuration file, the checks and the --help text.
 *
 * Precedence, lowest first: default, configuration file (`name = value` lines, # comments),
 * environment (TAEL_NAME_IN_CAPITALS, dashes as underscores), command line (--name=value,
 * --name value, or --name for a boolean). Within one source the last value of a name wins.
 *
 * A failure changes no value but those set before it. ERR_NOT_FOUND: no such setting; ERR_RANGE:
 * not within [minimum, maximum]; ERR_INVALID: not of the setting's form. A secret's value is in no
 * message.
 */
#ifndef BASE_SETTINGS_H
#define BASE_SETTINGS_H

#include "base/buf.h"
#include "base/err.h"

enum setting_kind {
    SETTING_BOOLEAN,  /* bool */
    SETTING_INTEGER,  /* int64_t within [minimum, maximum] */
    SETTING_TEXT,     /* char[maximum], zero-terminated; at least `minimum` bytes */
    SETTING_DURATION, /* int64_t milliseconds; written 250ms, 5s, 2m, 1h, 7d */
    SETTING_SIZE,     /* int64_t bytes; written 4096, 64k, 16m, 2g */
};

struct setting {
    const char *name; /* lower case with dashes */
    enum setting_kind kind;
    size_t offset;        /* of the value in the owner's struct */
    const char *fallback; /* the default, written as a user would */
    int64_t minimum;
    int64_t maximum;
    const char *unit; /* for --help: "connections"; may be NULL */
    const char *help; /* one sentence */
    bool secret;      /* never printed back */
    /* The usual name of an environment variable that means the same (OTEL_SERVICE_NAME); the TAEL_*
     * one goes before it. NULL: none. */
    const char *variable;
};

#define SETTING_MESSAGE_SIZE 256

/* Sets every value of the table to its default. A default that does not parse is a bug. */
void settings_defaults(const struct setting *table, size_t count, void *values);
/* One value by name; `message` says what is wrong in words that name the setting. */
MUST_USE err_t settings_set(
    const struct setting *table,
    size_t count,
    void *values,
    struct span name,
    struct span text,
    char message[SETTING_MESSAGE_SIZE]);
/* Lines of a configuration file; the message names the line. A comment has a line of its own: a #
 * behind a value belongs to the value. Spaces and tabs around names and values do not count. */
MUST_USE err_t settings_from_file(
    const struct setting *table,
    size_t count,
    void *values,
    struct span content,
    char message[SETTING_MESSAGE_SIZE]);
/* Every TAEL_* variable of `environment` must be one of the table's, or one of `ignored`
 * (whole variable names, NULL-terminated, may be NULL), or it is refused: a misspelt variable is
 * not silently without effect. */
MUST_USE err_t settings_from_environment(
    const struct setting *table,
    size_t count,
    void *values,
    char *const *environment,
    const char *const *ignored,
    char message[SETTING_MESSAGE_SIZE]);
/* Consumes argv[1...], which ends with NULL; what is not a flag is moved, in order, to
 * argv[1..*ret_positional].
 * "--" ends the flags. A value that begins with two dashes must be written --name=value. */
MUST_USE err_t settings_from_arguments(
    const struct setting *table,
    size_t count,
    void *values,
    char **argv,
    int *ret_positional,
    char message[SETTING_MESSAGE_SIZE]);
/* The table as --help text. */
void settings_help(const struct setting *table, size_t count, struct buf *out);

#endif
