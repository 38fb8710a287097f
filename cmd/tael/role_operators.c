/*
 * What operators ask for, on a listener of their own, from the first moment on: is it alive, has it
 * started, is it ready, what does it count, how much does it log, what traces were kept, and where
 * does its ledger's history end. Merchants are in role_merchants.c, keys in role_keys.c. A process
 * that waits for another one is alive.
 */
#include "roles.h"

#include "callback/signature.h"
#include "store/head.h"
#include "json/json.h"

#include <string.h>

#define METRICS_SIZE_MAX (4U << 20)
#define WHY_SIZE_MAX     256
#define LEVEL_SHOWN_MAX  40

/* --------------------------------------------------------------------------------- log level */

/* "debug" or "level=debug", with or without a newline. */
static void
log_level_set(struct node *node, struct span text, struct net_answer *answer)
{
    static const struct span prefix = {.data = "level=", .size = 6};
    enum trace_level level;
    if (span_starts_with(text, prefix)) {
        text = span_slice(text, prefix.size, text.size);
    }
    if (text.size > 0 && text.data[text.size - 1] == '\n') {
        text = span_slice(text, 0, text.size - 1);
    }
    if (!trace_level_parse(text, &level)) {
        answer->status = 400;
        buf_append_cstr(&answer->body, "level: ");
        if (text.size == 0) {
            buf_append_cstr(&answer->body, "the body is empty; it");
        } else {
            buf_append_format(
                &answer->body, "'%.*s'", SPAN_PRINTF(span_slice(text, 0, LEVEL_SHOWN_MAX)));
        }
        buf_append_cstr(&answer->body, " is none of debug, info, warning, error\n");
        return;
    }
    trace_log_set_level(&node->log, level);
    TRACE_LOG(
        &node->log,
        TRACE_WARNING, /* whatever was chosen, the change is in the log */
        "operators",
        SPAN_EMPTY,
        "the log level was changed",
        trace_cstr("level", trace_level_name(level)));
    answer->status = 200;
    buf_append_format(&answer->body, "%s\n", trace_level_name(level));
}

static void
log_level_show(struct node *node, struct net_answer *answer)
{
    enum trace_level level = TRACE_DEBUG;
    while (level < TRACE_ERROR && !trace_log_enabled(&node->log, level)) {
        level++;
    }
    answer->status = 200;
    buf_append_format(&answer->body, "%s\n", trace_level_name(level));
}

static const struct http_header allow_level[] = {
    {.name = {.data = "Allow", .size = 5}, .value = {.data = "GET, HEAD, PUT", .size = 14}}};

static void
answer_log_level(struct node *node, struct net_exchange *exchange)
{
    struct net_answer *answer = &exchange->answer;
    if (exchange->method == HTTP_METHOD_PUT) {
        log_level_set(node, exchange->body, answer);
    } else if (exchange->method == HTTP_METHOD_GET || exchange->method == HTTP_METHOD_HEAD) {
        log_level_show(node, answer);
    } else {
        answer->status = 405;
        answer->headers = allow_level;
        answer->header_count = 1;
        buf_append_cstr(&answer->body, "GET shows the level, PUT changes it\n");
    }
}

/* -------------------------------------------------------------------------------- the others */

static void
answer_state(
    struct node *node,
    bool (*good)(struct node *node, struct buf *why),
    const char *word,
    struct net_answer *answer)
{
    char memory[WHY_SIZE_MAX];
    struct buf why;
    buf_init_fixed(&why, memory, sizeof(memory));
    bool is_good = good(node, &why);
    answer->status = is_good ? 200 : 503;
    buf_append_format(&answer->body, "%s%s", is_good ? "" : "not ", word);
    if (!is_good) {
        buf_append_cstr(&answer->body, ": ");
        buf_append_span(&answer->body, buf_span(&why));
    } else if (good == node_is_ready) {
        node_lacks(node, &answer->body);
    }
    buf_append_byte(&answer->body, '\n');
}

static void
answer_live(struct node *node, struct net_exchange *exchange)
{
    answer_state(node, node_is_alive, "alive", &exchange->answer);
}

static void
answer_ready(struct node *node, struct net_exchange *exchange)
{
    answer_state(node, node_is_ready, "ready", &exchange->answer);
}

static void
answer_started(struct node *node, struct net_exchange *exchange)
{
    answer_state(node, node_is_started, "started", &exchange->answer);
}

static void
answer_metrics(struct node *node, struct net_exchange *exchange)
{
    struct net_answer *answer = &exchange->answer;
    answer->status = 200;
    answer->content_type = SPAN("text/plain; version=0.0.4; charset=utf-8");
    if (node_has_started(node) && node->api != NULL) {
        api_metrics_append(node->api, &answer->body);
    }
    node_metrics_render(node, &answer->body);
    if (buf_failed(&answer->body)) {
        buf_clear(&answer->body);
        answer->status = 500;
    }
}

/* What tael ledger head asks for (docs/ledger.md, "Proof of history"). */
static void
answer_ledger_head(struct node *node, struct net_exchange *exchange)
{
    struct net_answer *answer = &exchange->answer;
    struct store_head head;
    bool has_ledger = node_has_started(node) && node->engine != NULL;
    err_t result = has_ledger ? ledger_engine_head(node->engine, &head) : ERR_UNSUPPORTED;
    if (result != ERR_OK) {
        answer->status = result == ERR_BUSY ? 503 : 404;
        buf_append_cstr(
            &answer->body,
            result == ERR_BUSY ? "try again later\n" : "this process has no journal with a head\n");
        return;
    }
    char text[STORE_HEAD_TEXT_SIZE];
    struct json_writer json;
    store_head_format(&head, text);
    answer->status = 200;
    answer->content_type = SPAN("application/json");
    json_begin(&json, &answer->body);
    json_object_begin(&json);
    json_member_cstr(&json, "head", text);
    json_object_end(&json);
    buf_append_byte(&answer->body, '\n');
}

/* ------------------------------------------------------------------------------ who may ask */

/* Each may ask what those before it may. */
enum asker {
    EVERYBODY,
    WATCHERS, /* on this machine, if operators have no listener of their own */
    OPERATORS,
};

static const struct {
    const char *path;
    enum asker who;
    bool writes; /* other methods than GET and HEAD are the answer's business */
    void (*answer)(struct node *node, struct net_exchange *exchange);
} pages[] = {
    {"/livez", EVERYBODY, false, answer_live},
    {"/healthz", EVERYBODY, false, answer_live}, /* the name before Kubernetes 1.16 */
    {"/readyz", EVERYBODY, false, answer_ready},
    {"/startupz", EVERYBODY, false, answer_started},
    {"/metrics", WATCHERS, false, answer_metrics},
    {"/ledger/head", WATCHERS, false, answer_ledger_head},
    {"/log-level", OPERATORS, true, answer_log_level},
    {"/transactions", OPERATORS, true, role_shards_transactions},
};

/* NULL: it may ask. A browser names the page that sends a request which may change something. What
 * a Tael sends to where a merchant said is signed: it comes from this machine or its network, and
 * the merchant is shown what was answered. */
static const char *
why_not(const struct net_exchange *exchange, bool reads)
{
    struct span signature;
    if (http_head_find(exchange->head, SPAN(CALLBACK_SIGNATURE_HEADER), &signature)) {
        return "this is not for webhooks and participants\n";
    }
    bool page = !reads && http_head_has(exchange->head, HTTP_FIELD_ORIGIN);
    return page ? "this is not for pages in browsers\n" : NULL;
}

static void
refuse(struct net_answer *answer, const char *why)
{
    answer->status = 403;
    answer->content_type = SPAN("text/plain; charset=utf-8");
    buf_init(&answer->body, WHY_SIZE_MAX);
    buf_append_cstr(&answer->body, why);
}

static enum api_operated
operate(struct node *node, struct net_exchange *exchange, enum asker who)
{
    bool reads = exchange->method == HTTP_METHOD_GET || exchange->method == HTTP_METHOD_HEAD;
    const char *why = who == OPERATORS ? why_not(exchange, reads) : NULL;
    if (why != NULL) {
        refuse(&exchange->answer, why);
        return API_OPERATED;
    }
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        if (pages[i].who <= who && (reads || pages[i].writes) &&
            span_equal_cstr(exchange->path, pages[i].path)) {
            exchange->answer.content_type = SPAN("text/plain; charset=utf-8");
            buf_init(&exchange->answer.body, METRICS_SIZE_MAX);
            pages[i].answer(node, exchange);
            return API_OPERATED;
        }
    }
    if (who == OPERATORS) {
        enum api_operated operated = role_merchants_ask(node, exchange);
        if (operated == API_NOT_OPERATED) {
            operated = role_keys_ask(node, exchange);
        }
        if (operated != API_NOT_OPERATED) {
            return operated;
        }
    }
    bool later =
        who >= WATCHERS && node_has_started(node) && traces_operate(node->traces, exchange);
    return later ? API_OPERATES : API_NOT_OPERATED;
}

bool
role_operators_is_here(const struct net_address *peer)
{
    static const uint8_t v4[13] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127};
    static const uint8_t v6[16] = {[15] = 1};
    return memcmp(peer->ip, v4, sizeof(v4)) == 0 || memcmp(peer->ip, v6, sizeof(v6)) == 0;
}

/* Somebody between says that this machine is not where the request comes from. */
static bool
was_forwarded(const struct net_exchange *exchange)
{
    static const char *const names[] = {"X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"};
    struct span value;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (http_head_find(exchange->head, span_from_cstr(names[i]), &value)) {
            return true;
        }
    }
    return false;
}

enum api_operated
role_operators_ask(void *context, struct net_exchange *exchange)
{
    struct node *node = context;
    bool watches = node->settings.admin_listen[0] == '\0' &&
                   role_operators_is_here(&exchange->peer) && !was_forwarded(exchange);
    return operate(node, exchange, watches ? WATCHERS : EVERYBODY);
}

/* ----------------------------------------------------------------------------- the listener */

static void
answer_nothing(struct net_answer *answer)
{
    answer->status = 404;
    answer->content_type = SPAN("text/plain; charset=utf-8");
    buf_init(&answer->body, WHY_SIZE_MAX);
    buf_append_cstr(
        &answer->body,
        "only /livez, /readyz, /startupz, /metrics, /ledger/head, /log-level, /transactions, "
        "/merchants, /vault/keys, /vault/discard, /webhooks/keys and /api/v2/trace are here\n");
}

static void
on_requests(void *context, struct net_exchange *first)
{
    struct node *node = context;
    struct net_exchange *answered = NULL;
    while (first != NULL) {
        struct net_exchange *exchange = first;
        first = first->next;
        exchange->next = NULL;
        enum api_operated operated = operate(node, exchange, OPERATORS);
        if (operated == API_OPERATES) {
            continue;
        }
        if (operated == API_NOT_OPERATED) {
            answer_nothing(&exchange->answer);
        }
        exchange->next = answered;
        answered = exchange;
    }
    if (answered != NULL) {
        net_answer(answered);
    }
}

static err_t
operators_role_open(struct node *node)
{
    if (node->settings.admin_listen[0] == '\0') {
        return ERR_OK;
    }
    const struct net_server_hooks hooks = {.context = node, .on_requests = on_requests};
    struct net_server_settings settings = net_server_settings_default;
    settings.connections_max = NODE_OPERATORS_CONNECTIONS;
    err_t result = net_server_create(node->peers_loop, &settings, &hooks, &node->admin_server);
    if (result != ERR_OK) {
        node_explain(node, "operators' listener: %s", err_text(result));
        return result;
    }
    TRY(node_listen(
        node, node->admin_server, node->settings.admin_listen, -1, NULL, &node->admin_port));
    TRY(node_start_peers_loop(node));
    net_server_start(node->admin_server);
    return ERR_OK;
}

/* Last of all: it tells until the end that the process drains. */
void
role_operators_stop(struct node *node)
{
    if (node->admin_server != NULL) {
        net_server_stop(node->admin_server, 0);
    }
}

static void
operators_role_close(struct node *node)
{
    net_server_destroy(&node->admin_server);
}

const struct role role_operators = {
    .name = "operators",
    .open = operators_role_open,
    .drain = role_merchants_drain,
    .close = operators_role_close,
};
