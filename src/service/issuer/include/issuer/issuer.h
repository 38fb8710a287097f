/*
 * A simulated card network with its issuing banks, for demonstrations and tests. It decides by the
 * card number, as the table of test cards in README.md says, and remembers what it did in a file,
 * so that it keeps its word over a restart of the process, as a real network would.
 *
 * It can also misbehave on purpose: answer late, never, or handle a request twice.
 */
#ifndef ISSUER_ISSUER_H
#define ISSUER_ISSUER_H

#include "os/clock.h"
#include "os/entropy.h"
#include "os/file.h"
#include "os/loop.h"
#include "port/network.h"

struct issuer;

struct issuer_settings {
    int64_t latency_ms;        /* before each answer */
    int64_t jitter_ms;         /* plus up to so much */
    int64_t lost_per_mille;    /* done, but the answer is lost: unknown at the deadline */
    int64_t dropped_per_mille; /* never arrives: unknown at the deadline */
    int64_t late_per_mille;    /* arrives only after the deadline has passed */
    int64_t twice_per_mille;   /* arrives twice */
    int64_t refund_settle_ms;  /* until a pending refund succeeds, or a doomed one fails */
    int64_t dispute_delay_ms;  /* from a payment to its dispute, from evidence to what it brings */
    int64_t dispute_due_ms;    /* how long a dispute waits for evidence; then it is lost */
};

struct issuer_settings issuer_settings_default(void);

struct issuer_parts {
    struct os_loop *loop;
    struct os_clock *clock;
    struct os_entropy *entropy;
    struct os_disk *disk;
    const char *folder; /* NULL: remembers nothing over a restart */
    struct issuer_settings settings;
};

MUST_USE err_t issuer_create(const struct issuer_parts *parts, struct issuer **ret_issuer);
/* After the loop has stopped. Accepts NULL; sets the pointer to NULL. */
void issuer_destroy(struct issuer **issuer);

struct port_network *issuer_network(struct issuer *issuer);

#endif
