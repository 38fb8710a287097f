#include "postgres/postgres.h"

#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *keyword, *value;
} defaults[] = {
    {"application_name", "tael"},
    {"target_session_attrs", "read-write"},
    {"client_encoding", "UTF8"},
    {"connect_timeout", "5"},
    {"keepalives_idle", "10"},
    {"keepalives_interval", "3"},
    {"keepalives_count", "3"},
    {"tcp_user_timeout", "10000"},
};

/* host, hostaddr and port, each once. */
#define PARAMETER_LISTS_MAX 3

#define DEFAULT_COUNT       (sizeof(defaults) / sizeof(defaults[0]))

static void
keep(
    struct postgres_parameters *parameters,
    size_t at,
    const char *keyword,
    const char *before,
    const char *value)
{
    size_t before_size = strlen(before), value_size = strlen(value);
    parameters->keywords[at] = strdup(keyword);
    parameters->values[at] = malloc(before_size + value_size + 1);
    if (parameters->values[at] != NULL) {
        memcpy(parameters->values[at], before, before_size);
        memcpy(parameters->values[at] + before_size, value, value_size + 1);
    }
}

static size_t
keep_given(
    struct postgres_parameters *parameters,
    const PQconninfoOption *given,
    const char *session_options)
{
    size_t count = 0;
    const char *options = "";
    for (const PQconninfoOption *option = given; option->keyword != NULL; option++) {
        if (option->val != NULL && strcmp(option->keyword, "options") == 0) {
            options = option->val;
        } else if (option->val != NULL) {
            keep(parameters, count++, option->keyword, "", option->val);
        }
    }
    keep(parameters, count++, "options", session_options, options); /* theirs last: it wins */
    return count;
}

/* In these a URL's servers stand side by side, with commas (libpq-connect.html, 34.1.1.3). */
static bool
is_list(const char *keyword)
{
    return strcmp(keyword, "host") == 0 || strcmp(keyword, "hostaddr") == 0 ||
           strcmp(keyword, "port") == 0;
}

static uint32_t
list_length(const char *list)
{
    uint32_t length = 1;
    for (const char *at = list; (at = strchr(at, ',')) != NULL; at++) {
        length++;
    }
    return length;
}

static uint32_t
count_hosts(const struct postgres_parameters *parameters)
{
    uint32_t count = 1;
    for (size_t i = 0; parameters->keywords[i] != NULL; i++) {
        if (is_list(parameters->keywords[i])) {
            uint32_t length = list_length(parameters->values[i]);
            count = length > count ? length : count;
        }
    }
    return count;
}

err_t
postgres_parameters_parse(
    const char *url,
    const char *session_options,
    struct postgres_parameters *ret_parameters,
    char *message,
    size_t message_size)
{
    *ret_parameters = (struct postgres_parameters){0};
    char *problem = NULL;
    PQconninfoOption *given = PQconninfoParse(url, &problem);
    if (given == NULL) {
        postgres_one_line(problem == NULL ? "out of memory" : problem, message, message_size);
        PQfreemem(problem);
        return ERR_INVALID;
    }
    size_t given_count = 0;
    while (given[given_count].keyword != NULL) {
        given_count++;
    }
    size_t room = given_count + DEFAULT_COUNT + 2;
    ret_parameters->keywords = calloc(room, sizeof(char *));
    ret_parameters->values = calloc(room, sizeof(char *));
    if (ret_parameters->keywords == NULL || ret_parameters->values == NULL) {
        PQconninfoFree(given);
        return ERR_MEMORY;
    }
    size_t count = keep_given(ret_parameters, given, session_options);
    for (size_t i = 0; i < DEFAULT_COUNT; i++) {
        bool there = false;
        for (size_t j = 0; j < count; j++) {
            const char *keyword = ret_parameters->keywords[j];
            there = there || (keyword != NULL && strcmp(keyword, defaults[i].keyword) == 0);
        }
        if (!there) {
            keep(ret_parameters, count++, defaults[i].keyword, "", defaults[i].value);
        }
    }
    PQconninfoFree(given);
    for (size_t i = 0; i < count; i++) {
        if (ret_parameters->keywords[i] == NULL || ret_parameters->values[i] == NULL) {
            return ERR_MEMORY;
        }
    }
    ret_parameters->host_count = count_hosts(ret_parameters);
    return ERR_OK;
}

void
postgres_parameters_release(struct postgres_parameters *parameters)
{
    for (size_t i = 0; parameters->keywords != NULL && parameters->keywords[i] != NULL; i++) {
        free(parameters->keywords[i]);
        if (parameters->values[i] != NULL) {
            explicit_bzero(parameters->values[i], strlen(parameters->values[i]));
        }
        free(parameters->values[i]);
    }
    free((void *)parameters->keywords);
    free((void *)parameters->values);
    *parameters = (struct postgres_parameters){0};
}

/* ---------------------------------------------------------------------- one of several servers */

/* One port may stand for all servers. Owned by the caller; NULL without memory. */
static char *
list_item(const char *list, uint32_t at)
{
    uint32_t wanted = at % list_length(list);
    for (uint32_t i = 0; i < wanted; i++) {
        list = strchr(list, ',') + 1;
    }
    return strndup(list, strcspn(list, ","));
}

static PGconn *
connect_to_one(const struct postgres_parameters *parameters, uint32_t host, const char **values)
{
    char *owned[PARAMETER_LISTS_MAX];
    size_t owned_count = 0;
    bool good = true;
    for (size_t i = 0; parameters->keywords[i] != NULL; i++) {
        values[i] = parameters->values[i];
        if (is_list(parameters->keywords[i]) && owned_count < PARAMETER_LISTS_MAX) {
            char *item = list_item(parameters->values[i], host);
            good = good && item != NULL;
            values[i] = item;
            owned[owned_count++] = item;
        }
    }
    PGconn *conn =
        good ? PQconnectStartParams((const char *const *)parameters->keywords, values, 0) : NULL;
    for (size_t i = 0; i < owned_count; i++) {
        free(owned[i]);
    }
    return conn;
}

PGconn *
postgres_connect_start(const struct postgres_parameters *parameters, uint32_t attempt)
{
    size_t count = 0;
    while (parameters->keywords[count] != NULL) {
        count++;
    }
    const char **values = (const char **)calloc(count + 1, sizeof(char *));
    if (values == NULL) {
        return NULL;
    }
    PGconn *conn = connect_to_one(parameters, attempt % parameters->host_count, values);
    free((void *)values);
    return conn;
}

err_t
postgres_connect_go_on(PGconn *conn, short *events, int wait_ms)
{
    struct pollfd socket = {.fd = PQsocket(conn), .events = *events};
    if (socket.fd < 0 || poll(&socket, 1, wait_ms) <= 0) {
        return ERR_BUSY;
    }
    switch (PQconnectPoll(conn)) {
    case PGRES_POLLING_OK:
        return ERR_OK;
    case PGRES_POLLING_READING:
        *events = POLLIN;
        return ERR_BUSY;
    case PGRES_POLLING_WRITING:
        *events = POLLOUT;
        return ERR_BUSY;
    case PGRES_POLLING_ACTIVE:
    case PGRES_POLLING_FAILED:
        break;
    }
    return ERR_CLOSED;
}
