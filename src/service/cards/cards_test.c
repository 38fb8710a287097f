#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"
#include "cards/cards.h"
#include "os/sim.h"

#define T_STEPS 10000

/* A network that keeps what it gets until the test lets it answer. */
struct t_network {
    struct port_network network;
    struct port_network_request *held[8];
    uint32_t count;
};

static void
hold(struct port_network *network, struct port_network_request *request)
{
    struct t_network *self = CONTAINER_OF(network, struct t_network, network);
    self->held[self->count++] = request;
}

static void
run_done(struct os_task *task)
{
    struct port_network_request *request = CONTAINER_OF(task, struct port_network_request, task);
    request->done(request);
}

static void
let_go(struct t_network *network, uint32_t index, enum port_rail_outcome outcome)
{
    struct port_network_request *request = network->held[index];
    request->answer.outcome = outcome;
    request->task.run = run_done;
    os_post(request->reply_to, &request->task);
}

static uint32_t answered;

static void
count_answer(struct port_rail_request *request)
{
    (void)request;
    answered++;
}

static void
test_bound_and_answers(void **state)
{
    (void)state;
    struct os_sim *sim;
    struct os_loop *loop;
    struct cards *cards;
    struct t_network network = {.network = {.submit = hold, .simulated = true}};
    assert_int_equal(os_sim_create(5, &sim), ERR_OK);
    assert_int_equal(os_loops_create(os_sim_loops(sim), "cards", &loop), ERR_OK);
    struct cards_parts parts = {
        .loop = loop,
        .network = &network.network,
        .settings = {.in_flight_max = 2},
    };
    assert_int_equal(cards_create(&parts, &cards), ERR_OK);
    assert_int_equal(os_loop_start(loop), ERR_OK);
    struct port_rail *rail = cards_rail(cards);
    assert_true(rail->simulated);
    struct port_rail_request requests[3] = {0};
    answered = 0;
    for (uint32_t i = 0; i < 3; i++) {
        requests[i].reply_to = os_loop_executor(loop);
        requests[i].done = count_answer;
        rail->submit(rail, &requests[i]);
    }
    assert_true(os_sim_run_until_idle(sim, T_STEPS));
    /* CARDS-1: the third was told so at once, and nothing of it was sent. */
    assert_int_equal(network.count, 2);
    assert_int_equal(answered, 1);
    assert_int_equal(requests[2].error, ERR_BUSY);
    let_go(&network, 0, PORT_RAIL_APPROVED);
    let_go(&network, 1, PORT_RAIL_UNKNOWN);
    assert_true(os_sim_run_until_idle(sim, T_STEPS));
    assert_int_equal(answered, 3);
    assert_int_equal(requests[0].answer.outcome, PORT_RAIL_APPROVED);
    assert_int_equal(requests[1].answer.outcome, PORT_RAIL_UNKNOWN);
    struct cards_counters counters = cards_counters(cards);
    assert_int_equal(counters.approved, 1);
    assert_int_equal(counters.unknown, 1);
    assert_int_equal(counters.busy, 1);
    assert_int_equal(counters.in_flight, 0);
    rail->submit(rail, &requests[2]);
    assert_true(os_sim_run_until_idle(sim, T_STEPS));
    assert_int_equal(network.count, 3);
    /* CARDS-3 */
    let_go(&network, 2, PORT_RAIL_APPROVED);
    assert_true(os_sim_run_until_idle(sim, T_STEPS));
    requests[0].operation = PORT_RAIL_NEWS;
    rail->submit(rail, &requests[0]);
    assert_true(os_sim_run_until_idle(sim, T_STEPS));
    let_go(&network, 3, PORT_RAIL_APPROVED);
    assert_true(os_sim_run_until_idle(sim, T_STEPS));
    assert_int_equal(answered, 5);
    counters = cards_counters(cards);
    assert_int_equal(counters.sent, 3);
    assert_int_equal(counters.approved, 2);
    assert_int_equal(counters.in_flight, 0);
    os_loop_stop(loop);
    cards_destroy(&cards);
    assert_null(cards);
    os_loop_destroy(loop);
    os_sim_destroy(&sim);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bound_and_answers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
