#include "testing.h"

#include "base/assert.h"
#include "base/list.h"
#include "net/client.h"
#include "os/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define WAIT_S 60 /* a shared machine stands still for seconds now and then */

/* --------------------------------------------------------------------------------- the ports ---
 */

struct t_ports t_ports;
atomic_bool t_is_ready;
static pthread_mutex_t held_mutex = PTHREAD_MUTEX_INITIALIZER;

/* Both always later, as PORT-2 says. */
static void
reply(struct os_executor *reply_to, struct os_task *task)
{
    (void)pthread_mutex_lock(&held_mutex);
    bool holds = atomic_load(&t_ports.holds);
    if (holds) {
        t_ports.held_reply = reply_to;
        task->next = t_ports.held;
        t_ports.held = task;
    }
    (void)pthread_mutex_unlock(&held_mutex);
    atomic_fetch_add(&t_ports.asked, 1);
    if (!holds) {
        os_post(reply_to, task);
    }
}

#define FAKE(name, type, member, call)                                                             \
    static void run_##name(struct os_task *task)                                                   \
    {                                                                                              \
        struct type *request = CONTAINER_OF(task, struct type, task);                              \
        request->done(request);                                                                    \
    }                                                                                              \
    static void fake_##name(struct port_##name *port, struct type *request)                        \
    {                                                                                              \
        (void)port;                                                                                \
        request->error = ERR_OK;                                                                   \
        request->task.run = run_##name;                                                            \
        if (t_ports.on_##name != NULL) {                                                           \
            t_ports.on_##name(request);                                                            \
        }                                                                                          \
        reply(request->reply_to, &request->task);                                                  \
    }                                                                                              \
    static_assert(sizeof(((struct port_##name *)0)->call) != 0, "the port's call")

FAKE(ledger, port_ledger_request, ledger, submit);
FAKE(rail, port_rail_request, rail, submit);
FAKE(network, port_network_request, network, submit);
FAKE(vault, port_vault_tokenize, vault, tokenize);
FAKE(wallet, port_wallet_request, wallet, submit);
FAKE(mobile, port_mobile_request, mobile, use_code);

static void
fake_release(struct port_wallet *port, const struct port_wallet_movement *movement)
{
    (void)port;
    if (t_ports.on_release != NULL) {
        t_ports.on_release(movement);
    }
    atomic_fetch_add(&t_ports.asked, 1);
}

static void
ports_init(void)
{
    memset(&t_ports, 0, sizeof(t_ports));
    t_ports.ledger.submit = fake_ledger;
    t_ports.rail.submit = fake_rail;
    t_ports.rail.name = "card";
    t_ports.bank.submit = fake_rail;
    t_ports.bank.name = "bank";
    t_ports.network.submit = fake_network;
    t_ports.vault.tokenize = fake_vault;
    t_ports.wallet.submit = fake_wallet;
    t_ports.wallet.release = fake_release;
    t_ports.mobile.use_code = fake_mobile;
}

/* ------------------------------------------------------------------------------ the listener ---
 */

static struct net_loop *server_loop;
static struct net_server *server;
static struct remote_server *remote;
static uint16_t server_port;

static bool
is_ready(void *context, struct buf *why)
{
    (void)context;
    if (!atomic_load(&t_is_ready)) {
        buf_append_cstr(why, "the store has failed");
        return false;
    }
    return true;
}

void
t_listener_start(const struct remote_auth *auth)
{
    ports_init();
    atomic_store(&t_is_ready, true);
    assert_int_equal(net_loop_create("t-server", &server_loop), ERR_OK);
    const struct remote_server_parts parts = {
        .net = server_loop,
        .auth = auth,
        .ledger = &t_ports.ledger,
        .rail = &t_ports.rail,
        .bank = &t_ports.bank,
        .network = &t_ports.network,
        .vault = &t_ports.vault,
        .wallet = &t_ports.wallet,
        .mobile = &t_ports.mobile,
        .ready = is_ready,
    };
    assert_int_equal(remote_server_create(&parts, &remote), ERR_OK);
    struct net_server_settings settings = remote_server_net_settings();
    struct net_server_hooks hooks = remote_server_hooks(remote);
    assert_int_equal(net_server_create(server_loop, &settings, &hooks, &server), ERR_OK);
    const struct net_listen listen = {.address = "127.0.0.1", .tls = remote_auth_server_tls(auth)};
    assert_int_equal(net_server_listen(server, &listen, &server_port), ERR_OK);
    assert_int_equal(net_loop_start(server_loop), ERR_OK);
    net_server_start(server);
}

void
t_listener_stop(void)
{
    net_server_stop(server, 100);
    net_loop_stop(server_loop);
    assert_int_equal(t_listener_count().under_way, 0);
    net_server_destroy(&server);
    remote_server_destroy(&remote);
    net_loop_destroy(&server_loop);
}

uint16_t
t_listener_port(void)
{
    return server_port;
}

struct remote_server_counters
t_listener_count(void)
{
    struct remote_server_counters counters;
    remote_server_count(remote, &counters);
    return counters;
}

void
t_release(void)
{
    (void)pthread_mutex_lock(&held_mutex);
    atomic_store(&t_ports.holds, false);
    while (t_ports.held != NULL) {
        struct os_task *task = t_ports.held;
        t_ports.held = task->next;
        os_post(t_ports.held_reply, task);
    }
    (void)pthread_mutex_unlock(&held_mutex);
}

struct remote_auth *
t_auth(const char *key)
{
    struct remote_auth *auth = NULL;
    struct remote_auth_settings settings;
    char message[REMOTE_MESSAGE_SIZE];
    memset(&settings, 0, sizeof(settings));
    (void)snprintf(settings.key_file, sizeof(settings.key_file), "/tmp/tael-remote-XXXXXX");
    int fd = mkstemp(settings.key_file);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, key, strlen(key)), strlen(key));
    assert_int_equal(close(fd), 0);
    assert_int_equal(remote_auth_create(&settings, &auth, message), ERR_OK);
    (void)unlink(settings.key_file);
    return auth;
}

/* -------------------------------------------------------------------------------- the client ---
 */

static struct net_loop *client_loop;

struct net_loop *
t_client_loop(void)
{
    return client_loop;
}

struct remote_client *
t_client(
    enum remote_service service,
    const char *endpoints,
    const struct remote_auth *auth,
    const struct remote_client_settings *settings)
{
    struct remote_client *client = NULL;
    char message[REMOTE_MESSAGE_SIZE];
    struct remote_client_settings patient = remote_client_settings_default;
    patient.timeout_ms = WAIT_S * 1000;
    patient.connect_timeout_ms = WAIT_S * 1000;
    assert_int_equal(net_loop_create("t-client", &client_loop), ERR_OK);
    const struct remote_client_parts parts = {
        .net = client_loop,
        .service = service,
        .endpoints = endpoints,
        .auth = auth,
        .settings = settings == NULL ? patient : *settings,
    };
    err_t result = remote_client_create(&parts, &client, message);
    if (result != ERR_OK) {
        print_error("%s\n", message);
    }
    assert_int_equal(result, ERR_OK);
    assert_int_equal(net_loop_start(client_loop), ERR_OK);
    return client;
}

struct remote_client *
t_client_of(enum remote_service service, uint16_t port, const struct remote_auth *auth)
{
    char endpoint[32];
    (void)snprintf(endpoint, sizeof(endpoint), "127.0.0.1:%u", (unsigned)port);
    return t_client(service, endpoint, auth, NULL);
}

void
t_client_end(struct remote_client **client)
{
    remote_client_stop(*client);
    net_loop_stop(client_loop);
    struct remote_client_counters counters;
    remote_client_count(*client, &counters);
    assert_int_equal(counters.under_way, 0);
    assert_int_equal(
        counters.requests,
        counters.answered + counters.refused + counters.not_sent + counters.unknown +
            counters.busy);
    remote_client_destroy(client);
    net_loop_destroy(&client_loop);
}

void
t_client_reached(struct remote_client *client)
{
    const struct timespec pause = {.tv_nsec = 5000000};
    struct remote_client_state state = {.reached = false};
    for (int i = 0; i < WAIT_S * 200 && !state.reached; i++) {
        (void)nanosleep(&pause, NULL);
        remote_client_look(client, &state);
    }
    assert_true(state.reached);
}

/* ------------------------------------------------------------------------------- the replies ---
 */

static sem_t waiting;
static _Atomic(struct os_task *) newest;

static void
reply_post(struct os_executor *executor, struct os_task *first, struct os_task *last)
{
    (void)executor;
    while (first != NULL) {
        struct os_task *next = first == last ? NULL : first->next;
        struct os_task *head = atomic_load(&newest);
        do {
            first->next = head;
        } while (!atomic_compare_exchange_weak(&newest, &head, first));
        (void)sem_post(&waiting);
        first = next;
    }
}

struct os_executor *
t_reply_to(void)
{
    static struct os_executor executor = {.post = reply_post};
    static bool made;
    if (!made) {
        made = true;
        assert_int_equal(sem_init(&waiting, 0, 0), 0);
    }
    return &executor;
}

void
t_wait(const bool *done)
{
    while (!*done) {
        struct timespec until;
        assert_int_equal(clock_gettime(CLOCK_REALTIME, &until), 0);
        until.tv_sec += WAIT_S;
        assert_int_equal(sem_timedwait(&waiting, &until), 0);
        struct os_task *task = atomic_exchange(&newest, NULL);
        while (task != NULL) {
            struct os_task *next = task->next;
            task->run(task);
            task = next;
        }
    }
}

/* ----------------------------------------------------------------------- a server of raw bytes -
 */

/* The head, and the body that it announces. False: the peer closed before. */
static bool
read_request(int fd, bool head_only)
{
    static _Thread_local char text[1 << 16];
    size_t size = 0;
    for (;;) {
        ssize_t got = recv(fd, text + size, sizeof(text) - 1 - size, 0);
        if (got <= 0) {
            return false;
        }
        size += (size_t)got;
        text[size] = '\0';
        const char *end = strstr(text, "\r\n\r\n");
        if (end == NULL) {
            continue;
        }
        const char *length = strcasestr(text, "content-length:");
        size_t body = length == NULL || length > end ? 0 : (size_t)strtoul(length + 15, NULL, 10);
        if (head_only || size >= (size_t)(end + 4 - text) + body) {
            return true;
        }
    }
}

static void
serve(struct t_raw *raw, int fd)
{
    if (raw->cut == T_CUT_ACCEPT) {
        return;
    }
    while (read_request(fd, raw->cut == T_CUT_REQUEST)) {
        atomic_fetch_add(&raw->requests, 1);
        if (raw->cut == T_CUT_REQUEST || raw->cut == T_CUT_BEFORE) {
            return;
        }
        if (raw->cut == T_CUT_FIRST && atomic_load(&raw->requests) == 1) {
            return;
        }
        if (raw->cut == T_CUT_SILENT) {
            continue;
        }
        if (send(fd, raw->answer, raw->answer_size, MSG_NOSIGNAL) < 0 || raw->cut == T_CUT_AFTER) {
            return;
        }
    }
}

static void *
raw_run(void *context)
{
    struct t_raw *raw = context;
    for (;;) {
        int fd = accept(raw->listener, NULL, NULL);
        if (fd < 0) {
            return NULL;
        }
        atomic_fetch_add(&raw->connections, 1);
        serve(raw, fd);
        (void)close(fd);
    }
}

void
t_raw_start(struct t_raw *raw)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof(address);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    raw->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(raw->listener >= 0);
    assert_int_equal(bind(raw->listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(raw->listener, 64), 0);
    assert_int_equal(getsockname(raw->listener, (struct sockaddr *)&address, &size), 0);
    raw->port = ntohs(address.sin_port);
    pthread_t *thread = malloc(sizeof(*thread));
    assert_non_null(thread);
    raw->thread = thread;
    assert_int_equal(pthread_create(thread, NULL, raw_run, raw), 0);
}

/* After the client, whose connections keep the thread busy. */
void
t_raw_stop(struct t_raw *raw)
{
    (void)shutdown(raw->listener, SHUT_RDWR);
    assert_int_equal(pthread_join(*(pthread_t *)raw->thread, NULL), 0);
    (void)close(raw->listener);
    free(raw->thread);
}

const char *
t_answer(unsigned status, const char *type, const void *body, size_t size, size_t *ret_size)
{
    static char text[1 << 16];
    int head = snprintf(
        text,
        sizeof(text),
        "HTTP/1.1 %u Such\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n",
        status,
        type,
        size);
    assert_true(head > 0 && (size_t)head + size < sizeof(text));
    if (size != 0) {
        memcpy(text + head, body, size);
    }
    *ret_size = (size_t)head + size;
    return text;
}

size_t
t_ask(uint16_t port, const char *request, size_t size, char *out, size_t room)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct timeval timeout = {.tv_sec = WAIT_S};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(send(fd, request, size, MSG_NOSIGNAL), size);
    (void)shutdown(fd, SHUT_WR);
    size_t got = 0;
    ssize_t more = 0;
    do {
        more = recv(fd, out + got, room - 1 - got, 0);
        got += more > 0 ? (size_t)more : 0;
        /* With a time-out it is interrupted by being stopped and continued, without any handler. */
    } while (got < room - 1 && (more > 0 || (more < 0 && errno == EINTR)));
    out[got] = '\0';
    (void)close(fd);
    return got;
}

unsigned
t_status(const char *answer)
{
    return strncmp(answer, "HTTP/1.1 ", 9) == 0 ? (unsigned)strtoul(answer + 9, NULL, 10) : 0;
}
