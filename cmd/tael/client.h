/*
 * One command's conversation with a server: the options that say which one, requests that wait for
 * their answer, errors told as one line.
 *
 *     struct client *client = NULL;
 *     int status = client_open(command, &options.client, &client);
 *     if (status == COMMAND_GO_ON) {
 *         struct client_answer answer;
 *         status = client_call(client, &request, &answer);
 *         if (status == COMMAND_GO_ON) { ... answer.root ... }
 *         client_answer_release(&answer);
 *     }
 *     client_close(&client);
 *
 * One thread. Nothing here keeps the API key in a message.
 */
#ifndef TAEL_CLIENT_H
#define TAEL_CLIENT_H

#include "command.h"
#include "option.h"
#include "text.h"

#include "net/client.h"
#include "json/json_in.h"

#define CLIENT_KEY_SIZE  256
#define CLIENT_PATH_SIZE 768

/* The first member of a command's options, named `client`. */
struct client_options {
    char url[512];
    char key[CLIENT_KEY_SIZE];
    char data[CLIENT_PATH_SIZE];
    char ca[CLIENT_PATH_SIZE];
    int64_t timeout_ms;
    bool json;
};

#define CLIENT_OPTIONS(type)                                                                       \
    OPTION_TEXT(type, client.url, "url", TEXT_DEFAULT_URL, "Where the server is."),                \
        OPTION_SECRET(type, client.key, "key", "", "An API key."),                                 \
        OPTION_TEXT(                                                                               \
            type, client.data, "data", "", "Takes the key from DIR/test_secret_key instead."),     \
        CLIENT_OPTIONS_CALL(type)
/* Of what operators ask. `where`: whose address it is. */
#define CLIENT_OPTIONS_WITHOUT_KEY(type, where)                                                    \
    OPTION_TEXT(type, client.url, "url", TEXT_DEFAULT_URL, where), CLIENT_OPTIONS_CALL(type)
#define CLIENT_OPTIONS_CALL(type)                                                                  \
    OPTION_TEXT(type, client.ca, "ca", "", "https: a PEM file with the certificates to trust."),   \
        OPTION_DURATION(type, client.timeout_ms, "timeout", "30s", 1, 3600000, "For an answer."),  \
        OPTION_SWITCH(type, client.json, "json", "Prints what the server answered, as JSON.")

struct client;

/* Reads the key and prepares the connection. COMMAND_GO_ON, or the exit status after a message.
 * `command` and `options` are used until the close. */
int client_open(
    const struct command *command,
    const struct client_options *options,
    struct client **ret_client);
/* The same for what operators ask, without a key; an answer may then be an array too. */
int client_open_without_key(
    const struct command *command,
    const struct client_options *options,
    struct client **ret_client);
/* Accepts NULL; sets NULL. */
void client_close(struct client **client);

struct client_request {
    enum http_method method;
    struct span target;
    struct span body; /* a form, if it is a POST and `json` is false */
    bool json;        /* the body is JSON */
    /* Sent with the request, which is then repeated if its outcome is not known. May be NULL. */
    const char *idempotency_key;
};

struct client_answer {
    struct net_call call;
    struct arena arena;
    const struct json_value *root; /* an object; without a key perhaps an array */
    struct span body;              /* as it came */
};

/* COMMAND_GO_ON: the answer is a success (2xx) and JSON. Otherwise the exit status; what went wrong
 * was told on standard error, and with --json the server's words on standard output. */
int client_call(
    struct client *client, const struct client_request *request, struct client_answer *answer);
void client_answer_release(struct client_answer *answer);
/* The answer as it came, and a newline, to standard output: for --json. */
void client_answer_print(const struct client_answer *answer);
/* One request of a client that was opened, whose answer `print` shows, or --json as it came.
 * The answer is wiped, as a new key may be in it, and the client closed. Returns the exit status.
 */
int client_ask_once(
    struct client *client,
    const struct client_request *request,
    bool (*print)(const struct json_value *root));

#define CLIENT_IDEMPOTENCY_KEY_SIZE 40
/* "cli-" and random digits. */
void client_new_key(char out[CLIENT_IDEMPOTENCY_KEY_SIZE]);

/* Members of an answer; empty or the fallback if it is absent, null or of another kind. */
struct span client_text(const struct json_value *object, const char *name);
int64_t client_i64(const struct json_value *object, const char *name, int64_t fallback);
bool client_bool(const struct json_value *object, const char *name);
const struct json_value *client_member(const struct json_value *object, const char *name);

#endif
