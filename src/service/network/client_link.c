/* One connection: connect, sign on, echo, frames in and out, and again when it is lost. */
#include "client_private.h"

#define RETRY_FIRST_MS  100u
#define CONNECT_MS      5000u
#define ATTEMPTS_BURST  32u /* at once, and */
#define ATTEMPTS_SECOND 4u  /* then so many a second, over all connections */

static void
arm(struct network_link *link, uint64_t after_ns)
{
    struct network_client *client = link->client;
    if (net_timer_arm(client->parts.loop, &link->timer, net_now_ns() + after_ns) != ERR_OK) {
        /* Without a timer it stays as it is until something comes; the loop has a million. */
        TRACE_LOG(
            client->parts.log, TRACE_ERROR, "network", SPAN_EMPTY, "the loop is out of timers");
    }
}

static uint64_t
random_below(struct network_client *client, uint64_t limit)
{
    return (uint64_t)(os_random_u128(client->parts.entropy) % (limit + 1));
}

/* --- connecting, with full jitter and a budget --- */

static bool
attempt_take(struct network_client *client)
{
    uint64_t now_ns = net_now_ns();
    uint64_t gained = (now_ns - client->attempts_ns) / OS_NS_PER_MS * ATTEMPTS_SECOND;
    client->attempts_ns = now_ns;
    client->attempts += gained;
    if (client->attempts > ATTEMPTS_BURST * UINT64_C(1000)) {
        client->attempts = ATTEMPTS_BURST * UINT64_C(1000);
    }
    if (client->attempts < 1000) {
        return false;
    }
    client->attempts -= 1000;
    return true;
}

static void
wait_to_connect(struct network_link *link)
{
    uint64_t most_ms = RETRY_FIRST_MS;
    for (uint32_t i = 0; i < link->failures && most_ms < link->client->parts.settings.retry_max_ms;
         i++) {
        most_ms *= 2;
    }
    if (most_ms > link->client->parts.settings.retry_max_ms) {
        most_ms = link->client->parts.settings.retry_max_ms;
    }
    arm(link, random_below(link->client, most_ms * OS_NS_PER_MS));
}

static void
went_down(struct network_link *link, const char *why)
{
    struct network_client *client = link->client;
    bool was_up = link->state == NETWORK_UP;
    link->state = NETWORK_DOWN;
    link->asked.stan = 0;
    link->failures++;
    if (was_up) {
        atomic_fetch_sub(&client->signed_on, 1);
        atomic_fetch_add(&client->lost, 1);
    }
    if (was_up || link->failures == 1) {
        TRACE_LOG(
            client->parts.log,
            TRACE_WARNING,
            "network",
            SPAN_EMPTY,
            "a connection to the card network is down",
            trace_cstr("host", client->parts.settings.host),
            trace_cstr("why", why));
    }
    if (client->stopping) {
        return;
    }
    wait_to_connect(link);
    network_client_lost(client, link);
}

static void
give_up(struct network_link *link, const char *why)
{
    net_stream_close(&link->stream);
    went_down(link, why);
}

/* --- messages --- */

err_t
network_link_send(struct network_link *link, const struct iso8583_message *message)
{
    return network_frame_send(link->stream, link->client->parts.settings.dialect, message);
}

static void
ask(struct network_link *link, uint16_t code)
{
    struct network_client *client = link->client;
    link->asked = network_client_trace(client);
    err_t result =
        network_management_build(&client->identity, &link->asked, code, &client->message);
    if (result == ERR_OK) {
        result = network_link_send(link, &client->message);
    }
    if (result != ERR_OK) {
        give_up(link, err_text(result));
        return;
    }
    arm(link, client->parts.settings.answer_ms * OS_NS_PER_MS);
}

static void
echo_later(struct network_link *link)
{
    arm(link, link->client->parts.settings.echo_ms * OS_NS_PER_MS);
}

/* The host asks us: an echo, or to sign on or off. */
static void
reply(struct network_link *link)
{
    struct network_client *client = link->client;
    struct network_echo echo;
    network_echo_take(&client->message, &echo);
    err_t result = network_refusal_build(&echo, "00", &client->message);
    if (result == ERR_OK) {
        result = network_link_send(link, &client->message);
    }
    if (result != ERR_OK) {
        give_up(link, err_text(result));
    }
}

static void
managed(struct network_link *link)
{
    struct network_client *client = link->client;
    struct network_trace trace;
    struct span code = iso8583_get(&client->message, 39);
    if (link->asked.stan == 0 || !network_trace_read(&client->message, &trace) ||
        !network_trace_equal(&trace, &link->asked)) {
        atomic_fetch_add(&client->unmatched, 1);
        return;
    }
    network_client_count(client, 800, network_code_find(code));
    link->asked.stan = 0;
    if (!span_equal_cstr(code, "00")) {
        give_up(link, "the host refuses to sign on, or its echo says that it is not well");
        return;
    }
    echo_later(link);
    if (link->state == NETWORK_SIGNING_ON) {
        link->state = NETWORK_UP;
        link->failures = 0;
        atomic_fetch_add(&client->signed_on, 1);
        TRACE_LOG(
            client->parts.log,
            TRACE_INFO,
            "network",
            SPAN_EMPTY,
            "signed on to the card network",
            trace_cstr("host", client->parts.settings.host));
        network_client_serve(client);
    }
}

static bool
take(void *context, struct span text)
{
    struct network_link *link = context;
    struct network_client *client = link->client;
    struct iso8583_refusal refusal;
    err_t result = iso8583_decode(client->parts.settings.dialect, text, &client->message, &refusal);
    if (result != ERR_OK) {
        atomic_fetch_add(&client->malformed, 1);
        TRACE_LOG(
            client->parts.log,
            TRACE_ERROR,
            "network",
            SPAN_EMPTY,
            "the card network sent what is no message",
            trace_cstr("problem", iso8583_problem_text(refusal.problem)),
            trace_u64("field", refusal.field),
            trace_u64("position", refusal.position));
        give_up(link, "a malformed message");
        return false;
    }
    if (client->message.type == 810) {
        managed(link);
    } else if (client->message.type == 800) {
        reply(link);
    } else {
        network_client_answered(client, &client->message);
    }
    return link->stream != NULL;
}

static size_t
on_data(void *context, struct span input)
{
    struct network_link *link = context;
    const struct network_frame_reader reader = {link, take, &link->client->message};
    size_t used = 0;
    err_t result = network_frames_read(&reader, input, &used);
    if (result == ERR_RANGE) {
        atomic_fetch_add(&link->client->malformed, 1);
        give_up(link, "a frame that is too long");
    }
    if (result != ERR_OK) {
        return 0;
    }
    /* A host that talks is there: no echo before it is silent. */
    if (link->state == NETWORK_UP && link->asked.stan == 0 && used > 0) {
        echo_later(link);
    }
    return used;
}

static void
on_open(void *context)
{
    struct network_link *link = context;
    link->state = NETWORK_SIGNING_ON;
    ask(link, NETWORK_SIGN_ON);
}

static void
on_closed(void *context, err_t cause)
{
    struct network_link *link = context;
    link->stream = NULL;
    went_down(link, err_text(cause));
}

static const struct net_stream_hooks hooks = {
    .on_open = on_open,
    .on_data = on_data,
    .on_closed = on_closed,
};

static void
connect_now(struct network_link *link)
{
    struct network_client *client = link->client;
    const struct network_client_settings *settings = &client->parts.settings;
    if (!attempt_take(client)) {
        wait_to_connect(link);
        return;
    }
    const struct net_stream_target target = {
        .host = settings->host,
        .port = settings->port,
        .tls = client->parts.tls,
        .limits = {NETWORK_INPUT_MAX, NETWORK_OUTPUT_MAX, CONNECT_MS},
    };
    atomic_fetch_add(&client->connects, 1);
    link->state = NETWORK_CONNECTING;
    err_t result = net_stream_connect(client->parts.loop, &target, &hooks, link, &link->stream);
    if (result != ERR_OK) {
        went_down(link, err_text(result));
    }
}

static void
on_timer(struct net_timer *timer)
{
    struct network_link *link = CONTAINER_OF(timer, struct network_link, timer);
    if (link->client->stopping) {
        return;
    }
    switch (link->state) {
    case NETWORK_DOWN:
        connect_now(link);
        return;
    case NETWORK_CONNECTING: /* the stream has a deadline of its own */
        return;
    case NETWORK_SIGNING_ON:
        give_up(link, "the sign-on is not answered");
        return;
    case NETWORK_UP:
        if (link->asked.stan != 0) {
            give_up(link, "the echo is not answered");
        } else {
            ask(link, NETWORK_ECHO);
        }
        return;
    }
}

void
network_link_init(struct network_client *client, struct network_link *link)
{
    link->client = client;
    link->timer.fire = on_timer;
    list_init(&link->pending);
}

void
network_link_begin(struct network_link *link)
{
    struct network_client *client = link->client;
    uint64_t now_ns = os_wall_ns(client->parts.clock);
    uint64_t begins_ns = client->begins_s * OS_NS_PER_S;
    arm(link, now_ns < begins_ns ? begins_ns - now_ns : 0);
}

void
network_link_end(struct network_link *link)
{
    struct network_client *client = link->client;
    net_timer_cancel(client->parts.loop, &link->timer);
    if (link->state == NETWORK_UP) {
        atomic_fetch_sub(&client->signed_on, 1);
        struct network_trace trace = network_client_trace(client);
        if (network_management_build(
                &client->identity, &trace, NETWORK_SIGN_OFF, &client->message) == ERR_OK) {
            /* Out of courtesy: nobody waits for what is said to it. */
            err_t sent = network_link_send(link, &client->message);
            (void)sent;
        }
    }
    link->state = NETWORK_DOWN;
    net_stream_close(&link->stream);
}

struct network_link *
network_link_pick(struct network_client *client)
{
    struct network_link *best = NULL;
    for (uint32_t i = 0; i < client->parts.settings.connections; i++) {
        struct network_link *link = &client->links[i];
        if (link->state == NETWORK_UP &&
            (best == NULL || link->pending_count < best->pending_count)) {
            best = link;
        }
    }
    return best;
}
