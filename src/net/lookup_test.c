/* Names that the system's resolver does not answer: whom they hold up, and whom they do not
 * (NET-12). */
#include "testing.h"

#include "base/assert.h"
#include "base/list.h"
#include "base/share.h"
#include "net/resolve.h"

#include "lookup.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the resolver of this program ------------------------------------------------------------ */

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint32_t asked;   /* how often names that hang were asked for */
    uint32_t hanging; /* threads in it now */
    uint32_t let_go;  /* of those asked for, how many may leave: the first */
} resolver = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void
hang(void)
{
    pthread_mutex_lock(&resolver.mutex);
    uint32_t earlier = resolver.asked++;
    resolver.hanging++;
    pthread_cond_broadcast(&resolver.changed);
    while (resolver.let_go <= earlier) {
        pthread_cond_wait(&resolver.changed, &resolver.mutex);
    }
    resolver.hanging--;
    pthread_cond_broadcast(&resolver.changed);
    pthread_mutex_unlock(&resolver.mutex);
}

/* quick.test and hang...test are 127.0.0.1, the second kind not before the test lets it go. In the
 * form that the C library's freeaddrinfo takes. */
__attribute__((visibility("default"))) int
getaddrinfo(
    const char *restrict name,
    const char *restrict service,
    const struct addrinfo *restrict req,
    struct addrinfo **restrict pai)
{
    (void)service;
    struct in_addr ip = {.s_addr = htonl(INADDR_LOOPBACK)};
    if (inet_pton(AF_INET, name, &ip) != 1) {
        bool hangs = strncmp(name, "hang", 4) == 0;
        if ((req->ai_flags & AI_NUMERICHOST) != 0 || (!hangs && strcmp(name, "quick.test") != 0)) {
            return EAI_NONAME;
        }
        if (hangs) {
            hang();
        }
    }
    struct addrinfo *info = calloc(1, sizeof(*info) + sizeof(struct sockaddr_in));
    ASSERT(info != NULL);
    struct sockaddr_in *address = (struct sockaddr_in *)(void *)(info + 1);
    address->sin_family = AF_INET;
    address->sin_addr = ip;
    info->ai_family = AF_INET;
    info->ai_socktype = SOCK_STREAM;
    info->ai_addrlen = sizeof(*address);
    info->ai_addr = (struct sockaddr *)address;
    *pai = info;
    return 0;
}

/* Until names that hang were asked for at least so often, and so many threads are in it. */
static void
wait_asked(uint32_t asked_min, uint32_t hanging)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += T_WAIT_MS / 1000;
    pthread_mutex_lock(&resolver.mutex);
    while (resolver.asked < asked_min || resolver.hanging != hanging) {
        assert_int_equal(pthread_cond_timedwait(&resolver.changed, &resolver.mutex, &until), 0);
    }
    pthread_mutex_unlock(&resolver.mutex);
}

static void
wait_hanging(uint32_t count)
{
    wait_asked(count, count);
}

static uint32_t
resolver_asked(void)
{
    pthread_mutex_lock(&resolver.mutex);
    uint32_t count = resolver.asked;
    pthread_mutex_unlock(&resolver.mutex);
    return count;
}

static void
let_go(uint32_t count)
{
    pthread_mutex_lock(&resolver.mutex);
    resolver.let_go += count;
    pthread_cond_broadcast(&resolver.changed);
    pthread_mutex_unlock(&resolver.mutex);
}

/* ---- clients --------------------------------------------------------------------------------- */

#define HANGING 4u

static struct net_loop *loop;
static struct t_calls calls;

static int
setup(void **state)
{
    (void)state;
    pthread_mutex_lock(&resolver.mutex);
    assert_int_equal(resolver.hanging, 0);
    resolver.asked = 0;
    resolver.let_go = 0;
    pthread_mutex_unlock(&resolver.mutex);
    t_calls_init(&calls);
    assert_int_equal(net_loop_create("t-lookup", &loop), ERR_OK);
    assert_int_equal(net_loop_start(loop), ERR_OK);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    net_loop_stop(loop);
    net_loop_destroy(&loop);
    pthread_mutex_lock(&resolver.mutex);
    uint32_t hanging = resolver.hanging;
    pthread_mutex_unlock(&resolver.mutex);
    let_go(hanging);
    wait_hanging(0);
    t_calls_release(&calls);
    return 0;
}

static struct net_client *
client_for(uint64_t owner, const char *host, uint16_t port, uint32_t connect_timeout_ms)
{
    struct net_client_settings settings = net_client_settings_default;
    settings.connect_timeout_ms = connect_timeout_ms;
    settings.owner = owner;
    struct net_client *client = NULL;
    assert_int_equal(
        net_client_create(
            loop, &(struct net_origin){.host = host, .port = port}, &settings, &client),
        ERR_OK);
    return client;
}

static struct net_client *
client_of(const char *host, uint16_t port, uint32_t connect_timeout_ms)
{
    return client_for(0, host, port, connect_timeout_ms);
}

/* Others are looked up meanwhile, who waits is told in time, and nobody's end waits for them. */
static void
test_clients(void **state)
{
    (void)state;
    struct net_client *hung[HANGING];
    struct net_call hung_calls[HANGING];
    for (uint32_t i = 0; i < HANGING; i++) {
        char host[32];
        (void)snprintf(host, sizeof(host), "hang-%u.test", (unsigned)i);
        hung[i] = client_of(host, 80, T_WAIT_MS);
        t_call_init(&calls, &hung_calls[i], "/", NULL);
        net_client_start(hung[i], &hung_calls[i]);
    }
    wait_hanging(HANGING);
    uint16_t port;
    int listener = t_listen(&port);
    close(listener); /* nobody listens: what matters is that its address was found */
    struct net_client *quick = client_of("quick.test", port, T_WAIT_MS);
    struct net_call call;
    t_call_init(&calls, &call, "/", NULL);
    assert_int_equal(net_client_call_blocking(quick, &call), ERR_CLOSED);
    net_call_release(&call);
    net_client_stop(quick);
    net_client_destroy(&quick);
    for (uint32_t i = 0; i < HANGING; i++) {
        net_client_stop(hung[i]); /* while the resolver is silent */
        net_client_destroy(&hung[i]);
    }
    t_calls_wait(&calls, HANGING);
    for (uint32_t i = 0; i < HANGING; i++) {
        assert_int_equal(hung_calls[i].result, ERR_CLOSED);
        net_call_release(&hung_calls[i]);
    }
    wait_hanging(HANGING);
}

/* One owner's names, however many, leave threads to another's, also for a name that both ask for.
 */
static void
test_owners(void **state)
{
    (void)state;

    enum {
        COUNT = 2 * NET_LOOKUP_THREADS_MAX
    };

    const uint32_t held = (uint32_t)share_room(0, NET_LOOKUP_THREADS_MAX);
    static struct net_client *hung[COUNT];
    static struct net_call hung_calls[COUNT];
    for (uint32_t i = 0; i < COUNT; i++) {
        char host[32];
        (void)snprintf(host, sizeof(host), "hang-%u.test", (unsigned)i);
        hung[i] = client_for(7, i == COUNT - 1 ? "quick.test" : host, 1, T_WAIT_MS);
        t_call_init(&calls, &hung_calls[i], "/", NULL);
        net_client_start(hung[i], &hung_calls[i]);
    }
    wait_hanging(held);
    struct net_client *other = client_for(8, "quick.test", 1, T_WAIT_MS);
    struct net_call call;
    t_call_init(&calls, &call, "/", NULL);
    assert_int_equal(net_client_call_blocking(other, &call), ERR_CLOSED); /* nobody listens there */
    assert_int_equal(resolver_asked(), held);
    net_call_release(&call);
    let_go(held);
    wait_asked(2 * held, held); /* what waited got the threads */
    net_client_stop(other);
    net_client_destroy(&other);
    for (uint32_t i = 0; i < COUNT; i++) {
        net_client_stop(hung[i]);
        net_client_destroy(&hung[i]);
    }
    t_calls_wait(&calls, COUNT);
    for (uint32_t i = 0; i < COUNT; i++) {
        net_call_release(&hung_calls[i]);
    }
}

/* ---- look-ups -------------------------------------------------------------------------------- */

struct asked {
    struct os_task task;
    char host[32];
    uint32_t timeout_ms;
    struct net_lookup *lookup; /* NULL: answered, forgotten, or refused */
    err_t started;
    err_t result;
    uv_sem_t ran;
    uv_sem_t answered;
};

static struct asked asked[NET_LOOKUP_NAMES_MAX];

static void
on_answer(void *context, const struct net_resolution *resolution)
{
    struct asked *one = context;
    assert_true(net_loop_is_current(loop));
    assert_non_null(one->lookup); /* later, never from inside; once */
    one->lookup = NULL;
    one->result = resolution->result;
    uv_sem_post(&one->answered);
}

static void
on_ask(struct os_task *task)
{
    struct asked *one = CONTAINER_OF(task, struct asked, task);
    one->started = net_resolve(loop, one->host, one->timeout_ms, on_answer, one, &one->lookup);
    uv_sem_post(&one->ran);
}

static void
on_forget(struct os_task *task)
{
    struct asked *one = CONTAINER_OF(task, struct asked, task);
    if (one->lookup != NULL) {
        net_resolve_forget(one->lookup);
        one->lookup = NULL;
    }
    uv_sem_post(&one->ran);
}

static void
run(struct asked *one, void (*task)(struct os_task *task))
{
    one->task.run = task;
    os_post(net_loop_executor(loop), &one->task);
    uv_sem_wait(&one->ran);
}

static err_t
ask(struct asked *one, const char *host, uint32_t timeout_ms)
{
    *one = (struct asked){.timeout_ms = timeout_ms};
    (void)snprintf(one->host, sizeof(one->host), "%s", host);
    assert_int_equal(uv_sem_init(&one->ran, 0), 0);
    assert_int_equal(uv_sem_init(&one->answered, 0), 0);
    run(one, on_ask);
    return one->started;
}

static err_t
answer_of(struct asked *one)
{
    uv_sem_wait(&one->answered);
    return one->result;
}

static void
end(struct asked *one)
{
    run(one, on_forget);
    uv_sem_destroy(&one->ran);
    uv_sem_destroy(&one->answered);
}

/* asked[0] ...: names of their own, which hang. */
static void
ask_hanging(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        char host[32];
        (void)snprintf(host, sizeof(host), "hang-%u.test", (unsigned)i);
        assert_int_equal(ask(&asked[i], host, T_WAIT_MS), ERR_OK);
    }
}

static void
test_all_threads_hang(void **state)
{
    (void)state;
    struct asked again;
    struct asked late;
    struct asked quick;
    struct asked numeric;
    ask_hanging(NET_LOOKUP_THREADS_MAX + 1);
    wait_hanging(NET_LOOKUP_THREADS_MAX);
    assert_int_equal(ask(&numeric, "192.0.2.7", T_WAIT_MS), ERR_OK);
    assert_int_equal(answer_of(&numeric), ERR_OK); /* for which nobody has to be asked */
    assert_int_equal(ask(&quick, "quick.test", T_WAIT_MS), ERR_OK);
    assert_int_equal(ask(&late, "late.test", 1), ERR_OK);
    assert_int_equal(answer_of(&late), ERR_BUSY);
    let_go(1); /* the last of asked gets the thread */
    wait_asked(NET_LOOKUP_THREADS_MAX + 1, NET_LOOKUP_THREADS_MAX);
    assert_int_equal(uv_sem_trywait(&quick.answered), UV_EAGAIN);
    let_go(1); /* and then this one */
    assert_int_equal(answer_of(&quick), ERR_OK);
    /* One thread for a name, however often it is asked for. */
    struct asked *last = &asked[NET_LOOKUP_THREADS_MAX];
    assert_int_equal(ask(&again, last->host, T_WAIT_MS), ERR_OK);
    let_go(NET_LOOKUP_THREADS_MAX - 1);
    assert_int_equal(answer_of(last), ERR_OK);
    assert_int_equal(answer_of(&again), ERR_OK);
    assert_int_equal(resolver_asked(), NET_LOOKUP_THREADS_MAX + 1);
    for (uint32_t i = 0; i <= NET_LOOKUP_THREADS_MAX; i++) {
        end(&asked[i]);
    }
    end(&again);
    end(&late);
    end(&quick);
    end(&numeric);
}

/* Who is told of the silence may ask again: the name keeps its one thread. */
static void
test_a_deadline(void **state)
{
    (void)state;
    struct asked again;
    assert_int_equal(ask(&asked[0], "hang.test", 1), ERR_OK);
    assert_int_equal(answer_of(&asked[0]), ERR_BUSY);
    wait_hanging(1);
    assert_int_equal(ask(&again, "hang.test", T_WAIT_MS), ERR_OK);
    let_go(1);
    assert_int_equal(answer_of(&again), ERR_OK);
    assert_int_equal(resolver_asked(), 1);
    assert_int_equal(ask(&asked[1], "no-such-host.test", T_WAIT_MS), ERR_OK);
    assert_int_equal(answer_of(&asked[1]), ERR_NOT_FOUND);
    end(&again);
    end(&asked[0]);
    end(&asked[1]);
}

static void
test_names_max(void **state)
{
    (void)state;
    struct asked more;
    ask_hanging(NET_LOOKUP_NAMES_MAX);
    wait_hanging(NET_LOOKUP_THREADS_MAX);
    assert_int_equal(ask(&more, "quick.test", T_WAIT_MS), ERR_FULL);
    end(&more);
    assert_int_equal(ask(&more, asked[0].host, T_WAIT_MS), ERR_OK); /* not one more */
    end(&more);
    end(&asked[NET_LOOKUP_NAMES_MAX - 1]); /* it waited: there is room again */
    assert_int_equal(ask(&more, "quick.test", T_WAIT_MS), ERR_OK);
    for (uint32_t i = 0; i < NET_LOOKUP_NAMES_MAX - 1; i++) {
        end(&asked[i]);
    }
    let_go(1);
    assert_int_equal(answer_of(&more), ERR_OK);
    end(&more);
    /* Of the others that waited nobody was asked. */
    assert_int_equal(resolver_asked(), NET_LOOKUP_THREADS_MAX);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_clients, setup, teardown),
        cmocka_unit_test_setup_teardown(test_owners, setup, teardown),
        cmocka_unit_test_setup_teardown(test_all_threads_hang, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_deadline, setup, teardown),
        cmocka_unit_test_setup_teardown(test_names_max, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
