/* What the tests of bindings share: a listener of fakes, what was asked there, and what they
 * answer. */
#ifndef REMOTE_BINDING_TESTING_H
#define REMOTE_BINDING_TESTING_H

#include "testing.h"

#define T_BINDING_ERRORS 8

/* Of the test that runs. */
struct t_binding {
    struct remote_auth *auth;
    struct remote_client *client; /* destroyed behind the test, unless NULL */
    bool done;
    err_t told;                  /* what the fake answers */
    struct trace_context traced; /* with what it was asked */
};

extern struct t_binding t_binding;
/* With what tests ask. */
extern const struct trace_context t_binding_trace;

/* Errors that a service may answer, and what comes back. */
struct t_binding_error {
    err_t told, heard;
};
extern const struct t_binding_error t_binding_errors[T_BINDING_ERRORS];

/* cmocka's: a listener; no client yet. */
int t_binding_setup(void **state);
int t_binding_teardown(void **state);
/* The fake was asked with the trace. */
void t_binding_expect_trace(void);

#endif
