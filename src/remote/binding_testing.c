#include "binding_testing.h"

struct t_binding t_binding;

const struct trace_context t_binding_trace = {
    .trace_id = 0x1234567890abcdef, .span_id = 0x42, .flags = TRACE_CONTEXT_SAMPLED};

const struct t_binding_error t_binding_errors[T_BINDING_ERRORS] = {
    {ERR_BUSY, ERR_BUSY},
    {ERR_FULL, ERR_FULL},
    {ERR_NOT_FOUND, ERR_NOT_FOUND},
    {ERR_CORRUPT, ERR_CORRUPT},
    {ERR_DISK_FULL, ERR_DISK_FULL},
    {ERR_DATABASE, ERR_DATABASE},
    {ERR_TIMEOUT, ERR_TIMEOUT},
    {ERR_OUTCOME_UNKNOWN, ERR_OUTCOME_UNKNOWN},
};

int
t_binding_setup(void **state)
{
    (void)state;
    t_binding = (struct t_binding){.auth = t_auth(T_KEY), .told = ERR_OK};
    t_listener_start(t_binding.auth);
    return 0;
}

int
t_binding_teardown(void **state)
{
    (void)state;
    if (t_binding.client != NULL) {
        t_client_end(&t_binding.client);
    }
    t_listener_stop();
    remote_auth_destroy(&t_binding.auth);
    return 0;
}

void
t_binding_expect_trace(void)
{
    assert_true(t_binding.traced.trace_id == t_binding_trace.trace_id);
    assert_true(t_binding.traced.span_id == t_binding_trace.span_id);
    assert_int_equal(t_binding.traced.flags, t_binding_trace.flags);
}
