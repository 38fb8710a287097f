#include "command.h"

#include "base/assert.h"
#include "os/file.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HELP_SIZE_MAX   (1U << 20)
#define CONFIG_SIZE_MAX (1U << 20)
#define NAME_SIZE       128

/* Variables of other commands than the server, and of test builds. */
static const char *const other_variables[] = {"TAEL_URL", "TAEL_KEY", "TAEL_FAULT", NULL};

/* "tael ledger check" */
static void
full_name(const struct command *command, char out[NAME_SIZE])
{
    const struct command *chain[4];
    size_t depth = 0;
    for (; command != NULL; command = command->parent) {
        ASSERT(depth < sizeof(chain) / sizeof(chain[0]));
        chain[depth++] = command;
    }
    struct buf text;
    buf_init_fixed(&text, out, NAME_SIZE - 1);
    buf_append_cstr(&text, "tael");
    while (depth > 0) {
        buf_append_byte(&text, ' ');
        buf_append_cstr(&text, chain[--depth]->name);
    }
    ASSERT(!buf_failed(&text));
    out[text.size] = '\0';
}

__attribute__((format(printf, 2, 0))) static void
complain(const struct command *command, const char *format, va_list arguments)
{
    char name[NAME_SIZE];
    full_name(command, name);
    (void)fprintf(stderr, "%s: ", name);
    (void)vfprintf(stderr, format, arguments);
    (void)fputc('\n', stderr);
}

int
command_fail(const struct command *command, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    complain(command, format, arguments);
    va_end(arguments);
    return COMMAND_FAILED;
}

int
command_misuse(const struct command *command, const char *format, ...)
{
    char name[NAME_SIZE];
    va_list arguments;
    va_start(arguments, format);
    complain(command, format, arguments);
    va_end(arguments);
    full_name(command, name);
    (void)fprintf(stderr, "Try '%s --help'.\n", name);
    return COMMAND_USAGE;
}

/* ------------------------------------------------------------------------------------- help */

static bool
asks_for_help(char **argv)
{
    for (int i = 1; argv[i] != NULL && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            return true;
        }
    }
    return false;
}

static int
show_help(const struct command *command, const struct command_options *options)
{
    char name[NAME_SIZE];
    struct buf text;
    full_name(command, name);
    buf_init(&text, HELP_SIZE_MAX);
    const char *space = command->usage[0] == '\0' ? "" : " ";
    buf_append_format(
        &text, "usage: %s%s%s\n\n%s.\n", name, space, command->usage, command->summary);
    if (command->manual != NULL) {
        buf_append_format(&text, "\n%s\n", command->manual);
    }
    if (options->count > 0) {
        buf_append_cstr(&text, "\nOptions:\n");
        settings_help(options->table, options->count, &text);
    }
    (void)fwrite(text.data, 1, text.size, stdout);
    buf_release(&text);
    return COMMAND_OK;
}

static void
list_children(const struct command *command, FILE *out)
{
    enum {
        SUMMARY_COLUMN = 14
    };

    char name[NAME_SIZE];
    full_name(command, name);
    (void)fprintf(out, "usage: %s COMMAND [OPTIONS]\n\n%s.\n\n", name, command->summary);
    for (const struct command *const *child = command->children; *child != NULL; child++) {
        (void)fprintf(out, "    %-*s%s\n", SUMMARY_COLUMN, (*child)->name, (*child)->summary);
    }
    (void)fprintf(out, "\n'%s COMMAND --help' tells more.\n", name);
}

static const struct command *
find_child(const struct command *command, const char *name)
{
    for (const struct command *const *child = command->children; *child != NULL; child++) {
        if (strcmp(name, (*child)->name) == 0) {
            return *child;
        }
    }
    return NULL;
}

const char *
command_no_child(const char *word)
{
    return word[0] == '-' ? "the command comes first, then" : "there is no command";
}

int
command_run(const struct command *command, int argc, char **argv)
{
    while (command->run == NULL) {
        if (argc < 2) {
            list_children(command, stderr);
            return COMMAND_USAGE;
        }
        if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
            list_children(command, stdout);
            return COMMAND_OK;
        }
        const struct command *child = find_child(command, argv[1]);
        if (child == NULL) {
            return command_misuse(command, "%s '%.60s'", command_no_child(argv[1]), argv[1]);
        }
        ASSERT(child->parent == command);
        command = child;
        argc--;
        argv++;
    }
    return command->run(command, argc, argv);
}

/* ---------------------------------------------------------------------------------- options */

static const struct setting *
find_setting(const struct command_options *options, const char *name)
{
    for (size_t i = 0; i < options->count; i++) {
        if (strcmp(options->table[i].name, name) == 0) {
            return &options->table[i];
        }
    }
    return NULL;
}

/* TAEL_NAME of one setting. */
static const char *
variable_of(const struct setting *setting)
{
    char name[NAME_SIZE] = "TAEL_";
    size_t size = strlen(name);
    for (const char *at = setting->name; *at != '\0'; at++) {
        ASSERT(size + 1 < sizeof(name));
        bool is_letter = *at >= 'a' && *at <= 'z';
        name[size++] = *at == '-' ? '_' : is_letter ? (char)(*at - ('a' - 'A')) : *at;
    }
    name[size] = '\0';
    return getenv(name);
}

static err_t
read_environment(const struct command_options *options, char message[SETTING_MESSAGE_SIZE])
{
    if (options->strict_environment) {
        return settings_from_environment(
            options->table, options->count, options->values, environ, other_variables, message);
    }
    for (size_t i = 0; i < options->count; i++) {
        const char *value = variable_of(&options->table[i]);
        if (value != NULL) {
            TRY(settings_set(
                options->table,
                options->count,
                options->values,
                span_from_cstr(options->table[i].name),
                span_from_cstr(value),
                message));
        }
    }
    return ERR_OK;
}

static err_t
read_file(
    const struct command_options *options, const char *path, char message[SETTING_MESSAGE_SIZE])
{
    char *text = NULL;
    size_t size = 0;
    err_t result = os_file_load(os_disk_real(), path, CONFIG_SIZE_MAX, &text, &size);
    if (result != ERR_OK) {
        (void)snprintf(message, SETTING_MESSAGE_SIZE, "%s", err_text(result));
        return result;
    }
    result = settings_from_file(
        options->table, options->count, options->values, span_of(text, size), message);
    explicit_bzero(text, size); /* it may have a secret in it */
    free(text);
    return result;
}

/* The flag that names the file, before the flags are read for good: they win over the file. */
static const char *
config_path(const struct command_options *options, char **argv)
{
    if (options->config == NULL) {
        return NULL;
    }
    const struct setting *setting = find_setting(options, options->config);
    ASSERT(setting != NULL);
    size_t size = strlen(setting->name);
    const char *path = variable_of(setting);
    for (int i = 1; argv[i] != NULL && strcmp(argv[i], "--") != 0; i++) {
        const char *word = argv[i];
        if (strncmp(word, "--", 2) != 0 || strncmp(word + 2, setting->name, size) != 0) {
            continue;
        }
        if (word[2 + size] == '=') {
            path = word + 3 + size;
        } else if (word[2 + size] == '\0') {
            path = argv[i + 1];
        }
    }
    return path;
}

int
command_options(
    const struct command *command,
    const struct command_options *options,
    char **argv,
    int *ret_positional)
{
    char message[SETTING_MESSAGE_SIZE];
    if (asks_for_help(argv)) {
        return show_help(command, options);
    }
    settings_defaults(options->table, options->count, options->values);
    const char *path = config_path(options, argv);
    if (path != NULL && path[0] != '\0' && read_file(options, path, message) != ERR_OK) {
        return command_misuse(command, "%s: %s", path, message);
    }
    if (read_environment(options, message) != ERR_OK) {
        return command_misuse(command, "%s", message);
    }
    int positional = 0;
    err_t result = settings_from_arguments(
        options->table, options->count, options->values, argv, &positional, message);
    if (result != ERR_OK) {
        return command_misuse(command, "%s", message);
    }
    if (positional > options->positional_max) {
        return command_misuse(
            command, "unexpected argument '%.60s'", argv[options->positional_max + 1]);
    }
    if (positional < options->positional_min) {
        return command_misuse(command, "an argument is missing: %s", command->usage);
    }
    *ret_positional = positional;
    return COMMAND_GO_ON;
}
