#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "testing.h"

struct iso8583_message t_message, t_answered;
const struct network_identity t_identity = {"TAEL0001", "123456", 5999};
const struct port_network_card t_card = {"4242424242424242", "123", 12, 2034};

void
t_travel(const struct iso8583_dialect *dialect, struct iso8583_message *message)
{
    char memory[ISO8583_MESSAGE_MAX];
    struct iso8583_refusal refusal;
    struct buf out;
    buf_init_fixed(&out, memory, sizeof(memory));
    err_t result = iso8583_encode(dialect, message, &out, &refusal);
    if (result != ERR_OK) {
        print_message("field %u: %s\n", refusal.field, iso8583_problem_text(refusal.problem));
    }
    assert_int_equal(result, ERR_OK);
    assert_int_equal(iso8583_decode(dialect, buf_span(&out), message, &refusal), ERR_OK);
}

struct port_rail_request
t_rail(enum port_rail_operation operation)
{
    return (struct port_rail_request){
        .operation = operation,
        .scope = UINT64_MAX,
        .id = operation == PORT_RAIL_REPORT ? 0 : u128_make(1, 2),
        .original_id = operation == PORT_RAIL_AUTHORIZE ? 0 : u128_make(UINT64_MAX, 4),
        .amount = {1999, currency_find(SPAN("EUR"))},
    };
}

void
t_build(const struct port_rail_request *rail, const struct port_network_card *card)
{
    const struct network_request request = {
        .identity = &t_identity,
        .rail = rail,
        .card = card,
        .trace = {.stan = 7, .date_time = 1123071500},
        .original_type = 200,
        .original = {.stan = 6, .date_time = 1123071459},
    };
    assert_int_equal(network_request_build(&request, &t_message), ERR_OK);
}
