#include "client.h"

#include "show.h"

#include "base/assert.h"
#include "os/clock.h"
#include "os/entropy.h"
#include "os/file.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define KEY_FILE_MAX    4096
#define HEADERS_MAX     2
#define HEADER_SIZE     (CLIENT_KEY_SIZE + 16)
#define ARENA_MAX       (512U << 20)
#define VALUES_MAX      4000000
#define BODY_MAX        (64U << 20)
#define ATTEMPTS_MAX    3
#define ATTEMPT_WAIT_MS 300

struct client {
    bool without_key;
    const struct command *command;
    const struct client_options *options;
    char authorization[HEADER_SIZE];
    struct net_tls *tls;
    struct net_loop *loop;
    struct net_client *net;
    bool runs;
};

/* --------------------------------------------------------------------------------- open, close */

/* DIR/test_secret_key */
static int
read_key_file(struct client *client, char out[CLIENT_KEY_SIZE])
{
    char path[CLIENT_PATH_SIZE + 32];
    char *text = NULL;
    size_t size = 0;
    (void)snprintf(path, sizeof(path), "%s/test_secret_key", client->options->data);
    err_t result = os_file_load(os_disk_real(), path, KEY_FILE_MAX, &text, &size);
    if (result != ERR_OK) {
        return command_fail(client->command, "%s: %s", path, err_text(result));
    }
    size_t line = span_find(span_of(text, size), '\n', 0);
    bool fits = line > 0 && line < CLIENT_KEY_SIZE;
    if (fits) {
        memcpy(out, text, line);
        out[line] = '\0';
    }
    explicit_bzero(text, size);
    free(text);
    return fits ? COMMAND_GO_ON : command_fail(client->command, "%s has no key in it", path);
}

/* A header value with a line break in it would be another header. */
static bool
key_is_printable(const char *key)
{
    for (const char *at = key; *at != '\0'; at++) {
        if (*at <= ' ' || *at > '~') {
            return false;
        }
    }
    return true;
}

static int
read_key(struct client *client)
{
    char key[CLIENT_KEY_SIZE] = "";
    const struct client_options *options = client->options;
    if (options->key[0] != '\0') {
        memcpy(key, options->key, sizeof(key));
    } else if (options->data[0] != '\0') {
        int status = read_key_file(client, key);
        if (status != COMMAND_GO_ON) {
            return status;
        }
    } else {
        return command_misuse(
            client->command, "an API key is needed: --key=KEY, TAEL_KEY, or --data=DIR");
    }
    if (!key_is_printable(key)) {
        explicit_bzero(key, sizeof(key));
        return command_misuse(client->command, "the API key has a character that no key has");
    }
    (void)snprintf(client->authorization, sizeof(client->authorization), "Bearer %s", key);
    explicit_bzero(key, sizeof(key));
    return COMMAND_GO_ON;
}

static err_t
connect_to(struct client *client, const struct text_url *url)
{
    if (url->tls) {
        const char *ca = client->options->ca[0] != '\0' ? client->options->ca : NULL;
        TRY(net_tls_create_client(ca, true, &client->tls));
    }
    TRY(net_loop_create("client", &client->loop));
    struct net_origin origin = {.host = url->host, .port = url->port, .tls = client->tls};
    struct net_client_settings settings = net_client_settings_default;
    settings.limits.body = BODY_MAX;
    TRY(net_client_create(client->loop, &origin, &settings, &client->net));
    TRY(net_loop_start(client->loop));
    client->runs = true;
    return ERR_OK;
}

static int
open_client(
    const struct command *command,
    const struct client_options *options,
    bool without_key,
    struct client **ret_client)
{
    struct text_url url;
    if (text_url_parse(span_from_cstr(options->url), &url) != ERR_OK) {
        return command_misuse(command, "--url is http://HOST:PORT or https://HOST:PORT");
    }
    struct client *client = calloc(1, sizeof(*client));
    if (client == NULL) {
        return command_fail(command, "out of memory");
    }
    client->command = command;
    client->options = options;
    client->without_key = without_key;
    int status = without_key ? COMMAND_GO_ON : read_key(client);
    if (status == COMMAND_GO_ON) {
        err_t result = connect_to(client, &url);
        if (result != ERR_OK) {
            status = command_fail(command, "%s: %s", options->url, err_text(result));
        }
    }
    *ret_client = client;
    if (status != COMMAND_GO_ON) {
        client_close(ret_client);
    }
    return status;
}

int
client_open(
    const struct command *command, const struct client_options *options, struct client **ret_client)
{
    return open_client(command, options, false, ret_client);
}

int
client_open_without_key(
    const struct command *command, const struct client_options *options, struct client **ret_client)
{
    return open_client(command, options, true, ret_client);
}

void
client_close(struct client **client)
{
    struct client *closing = *client;
    if (closing == NULL) {
        return;
    }
    if (closing->runs) {
        net_client_stop(closing->net);
        net_loop_stop(closing->loop);
    }
    net_client_destroy(&closing->net);
    net_loop_destroy(&closing->loop);
    net_tls_destroy(&closing->tls);
    explicit_bzero(closing->authorization, sizeof(closing->authorization));
    free(closing);
    *client = NULL;
}

/* -------------------------------------------------------------------------------------- errors */

static int
tell_network(const struct client *client, const struct client_request *request, err_t result)
{
    const char *url = client->options->url;
    if (result == ERR_OUTCOME_UNKNOWN) {
        if (request->idempotency_key != NULL) {
            return command_fail(
                client->command,
                "%s: the connection broke, and whether the request was carried out is not known. "
                "The same command with --idempotency-key=%s tells, and does nothing twice",
                url,
                request->idempotency_key);
        }
        return command_fail(client->command, "%s: the connection broke before the answer", url);
    }
    if (result == ERR_CLOSED) {
        return command_fail(
            client->command, "%s: cannot connect. Is 'tael server' running there?", url);
    }
    return command_fail(client->command, "%s: %s", url, err_text(result));
}

/* "; param amount" behind what is in `out` already. */
static void
append_detail(struct buf *out, const char *label, struct span value)
{
    if (value.size > 0) {
        buf_append_cstr(out, out->size == 0 ? "" : ", ");
        buf_append_cstr(out, label);
        show_text(out, value, SHOW_PLAIN, false);
    }
}

/* The API has no such path, and a gateway before it asks for a key, which operators need none of:
 * they are answered at an address of their own. */
static bool
is_the_api(const struct client *client, const struct client_answer *answer)
{
    enum {
        UNAUTHORIZED = 401,
        NOT_FOUND = 404
    };

    struct span message = client_text(client_member(answer->root, "error"), "message");
    bool has_no_path = answer->call.status == NOT_FOUND &&
                       span_starts_with(message, SPAN("Unrecognized request URL"));
    return client->without_key && (has_no_path || answer->call.status == UNAUTHORIZED);
}

/* {"error":{"message","code","decline_code","param","payment_intent":{"id"}}} as one line. */
static int
tell_refusal(const struct client *client, const struct client_answer *answer)
{
    if (is_the_api(client, answer)) {
        return command_fail(
            client->command,
            "%s is the API, which does not answer operators: --url is their address, which tael "
            "server has with --admin-listen",
            client->options->url);
    }
    char text[1024];
    struct buf details;
    buf_init_fixed(&details, text, sizeof(text));
    const struct json_value *error = client_member(answer->root, "error");
    struct span message = client_text(error, "message");
    struct span code = client_text(error, "code");
    append_detail(&details, "", code.size > 0 ? code : client_text(error, "type"));
    append_detail(&details, "decline code ", client_text(error, "decline_code"));
    append_detail(&details, "parameter ", client_text(error, "param"));
    append_detail(&details, "", client_text(client_member(error, "payment_intent"), "id"));
    struct span request_id = SPAN_EMPTY;
    (void)net_call_header_find(&answer->call, SPAN("request-id"), &request_id);
    append_detail(&details, "request ", request_id);
    if (message.size == 0) {
        return command_fail(
            client->command,
            "%s answered with HTTP status %u",
            client->options->url,
            answer->call.status);
    }
    char shown[1024];
    struct buf clean;
    buf_init_fixed(&clean, shown, sizeof(shown));
    show_text(&clean, message, SHOW_PLAIN, false);
    return command_fail(
        client->command,
        "%.*s (%.*s)",
        SPAN_PRINTF(buf_span(&clean)),
        SPAN_PRINTF(buf_span(&details)));
}

/* ---------------------------------------------------------------------------------------- calls */

static void
wait_ms(unsigned milliseconds)
{
    struct timespec pause = {
        .tv_sec = milliseconds / 1000, .tv_nsec = (long)(milliseconds % 1000) * 1000000};
    (void)nanosleep(&pause, NULL);
}

static err_t
exchange(struct client *client, const struct client_request *request, struct client_answer *answer)
{
    struct http_header headers[HEADERS_MAX];
    size_t header_count = 0;
    if (!client->without_key) {
        headers[header_count++] = (struct http_header){
            .name = SPAN("Authorization"), .value = span_from_cstr(client->authorization)};
    }
    if (request->idempotency_key != NULL) {
        headers[header_count++] = (struct http_header){
            .name = SPAN("Idempotency-Key"), .value = span_from_cstr(request->idempotency_key)};
    }
    bool is_post = request->method == HTTP_METHOD_POST;
    struct span form = SPAN("application/x-www-form-urlencoded");
    bool repeatable = !is_post || request->idempotency_key != NULL;
    err_t result = ERR_OK;
    for (unsigned attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
        net_call_release(&answer->call);
        memset(&answer->call, 0, sizeof(answer->call));
        answer->call.method = request->method;
        answer->call.target = request->target;
        answer->call.content_type = !is_post        ? SPAN_EMPTY
                                    : request->json ? SPAN("application/json")
                                                    : form;
        answer->call.headers = headers;
        answer->call.header_count = header_count;
        answer->call.body = request->body;
        answer->call.timeout_ms = (uint32_t)client->options->timeout_ms;
        result = net_client_call_blocking(client->net, &answer->call);
        if (result != ERR_OUTCOME_UNKNOWN || !repeatable) {
            break;
        }
        wait_ms(attempt * ATTEMPT_WAIT_MS);
    }
    return result;
}

int
client_call(
    struct client *client, const struct client_request *request, struct client_answer *answer)
{
    memset(answer, 0, sizeof(*answer));
    arena_init(&answer->arena, ARENA_MAX);
    err_t result = exchange(client, request, answer);
    if (result != ERR_OK) {
        return tell_network(client, request, result);
    }
    answer->body = buf_span(&answer->call.answer);
    struct json_problem problem;
    struct json_value *root = NULL;
    result = json_read(answer->body, &answer->arena, VALUES_MAX, &root, &problem);
    answer->root = root;
    bool success = answer->call.status >= 200 && answer->call.status < 300;
    if (success && result == ERR_OK &&
        (root->kind == JSON_KIND_OBJECT ||
         (client->without_key && root->kind == JSON_KIND_ARRAY))) {
        return COMMAND_GO_ON;
    }
    if (success) {
        return command_fail(
            client->command, "%s: the answer is no JSON object", client->options->url);
    }
    if (client->options->json && result == ERR_OK) {
        client_answer_print(answer);
    }
    return tell_refusal(client, answer);
}

void
client_answer_release(struct client_answer *answer)
{
    net_call_release(&answer->call);
    arena_release(&answer->arena);
    memset(answer, 0, sizeof(*answer));
}

void
client_answer_print(const struct client_answer *answer)
{
    (void)fwrite(answer->body.data, 1, answer->body.size, stdout);
    (void)fputc('\n', stdout);
}

int
client_ask_once(
    struct client *client,
    const struct client_request *request,
    bool (*print)(const struct json_value *root))
{
    struct client_answer answer;
    int status = client_call(client, request, &answer);
    if (status == COMMAND_GO_ON) {
        status = COMMAND_OK;
        if (client->options->json) {
            client_answer_print(&answer);
        } else if (!print(answer.root)) {
            status = COMMAND_FAILED;
        }
    }
    buf_wipe(&answer.call.answer);
    client_answer_release(&answer);
    client_close(&client);
    return status;
}

void
client_new_key(char out[CLIENT_IDEMPOTENCY_KEY_SIZE])
{
    u128 random = os_random_u128(os_entropy_real());
    struct buf text;
    buf_init_fixed(&text, out, CLIENT_IDEMPOTENCY_KEY_SIZE - 1);
    buf_append_cstr(&text, "cli-");
    buf_append_hex(&text, &random, sizeof(random));
    ASSERT(!buf_failed(&text));
    out[text.size] = '\0';
}

/* -------------------------------------------------------------------------------------- members */

const struct json_value *
client_member(const struct json_value *object, const char *name)
{
    return json_value_member(object, span_from_cstr(name));
}

struct span
client_text(const struct json_value *object, const char *name)
{
    struct span text;
    return json_value_text(client_member(object, name), &text) == ERR_OK ? text : SPAN_EMPTY;
}

int64_t
client_i64(const struct json_value *object, const char *name, int64_t fallback)
{
    int64_t number;
    return json_value_i64(client_member(object, name), &number) == ERR_OK ? number : fallback;
}

bool
client_bool(const struct json_value *object, const char *name)
{
    bool value;
    return json_value_bool(client_member(object, name), &value) == ERR_OK && value;
}
