/*
 * For tests of statuses: a world in which every status can be had, and lists of ways to spoil a
 * valid event, one for each status, in the order of precedence. Each is tried alone, and then every
 * two that can be had together (they change different fields): the earlier must win.
 */
#ifndef LEDGER_TEST_SPOIL_H
#define LEDGER_TEST_SPOIL_H

#include "ledger_test_world.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Accounts of the world. */
enum {
    A = 1,
    B,
    OTHER_LEDGER,
    CLOSED,
    CLOSED_TOO,
    LIMITED_DEBITS,
    LIMITED_CREDITS,
    FULL_DEBITS_PENDING,
    FULL_CREDITS_PENDING,
    FULL_DEBITS_POSTED,
    FULL_CREDITS_POSTED,
    FULL_DEBITS,
    FULL_CREDITS,
    CLOSED_LATER_DEBIT,
    CLOSED_LATER_CREDIT,
    LATE, /* created after every transfer */
    LATE_TOO,
    ABSENT = 90,
};

/* Transfers of the world. */
enum {
    T_LIKE_BASE = 100,
    T_SINGLE,
    T_POSTED,
    T_POST,
    T_VOIDED,
    T_VOID,
    T_EXPIRED,
    T_DUE,
    T_LIVE,
    T_LIVE_OF_CLOSED_DEBIT,
    T_LIVE_OF_CLOSED_CREDIT,
    T_FAILED,
    T_NEW = 500,
};

extern struct t_world t_spoil_world;
/* A timestamp above every event's when it was noted; LATE ones came after. */
extern uint64_t t_spoil_gap;

/* Of every test. */
int t_spoil_set_up(void **state);
int t_spoil_tear_down(void **state);

/* A valid one, pending, between A and B. */
struct ledger_transfer t_base_transfer(void);

/* One thing that is done to an event: a field gets a value, or bits of the flags are set or
 * cleared. */
struct t_change {
    enum {
        T_NO_CHANGE,
        T_SET,
        T_ON,
        T_OFF
    } what;

    size_t at, size; /* of the field */
    u128 value;
};

/* With which spoilers that come behind it in a list one is tried together. */
enum t_pairs {
    T_WITH_ALL,
    T_AMONG, /* those that are T_AMONG, too */
    T_ALONE,
};

#define T_CHANGES_MAX  6
#define T_SPOILERS_MAX 64

struct t_spoiler {
    uint32_t status; /* that is answered then */
    enum t_pairs pairs;
    const char *name;
    struct t_change changes[T_CHANGES_MAX];
};

/* In the order of precedence. Borrowed. */
struct t_spoilers {
    const struct t_spoiler *all[T_SPOILERS_MAX];
    size_t count;
};

/* Puts an array of them behind those that are there. */
#define ADD(spoilers, array) t_spoilers_add((spoilers), (array), sizeof(array) / sizeof((array)[0]))
void t_spoilers_add(struct t_spoilers *spoilers, const struct t_spoiler *more, size_t count);

/* Tries them on copies of `base`, which is valid. */
void t_spoil_each_transfer(const struct ledger_transfer *base, const struct t_spoilers *spoilers);
void t_spoil_each_account(const struct ledger_account *base, const struct t_spoilers *spoilers);
/* The base with one spoiler's changes. */
struct ledger_transfer t_spoilt_transfer(
    const struct ledger_transfer *base, const struct t_spoiler *spoiler);

/* clang-format off */
#define ON(bits)  {.what = T_ON, .value = (bits)}
#define OFF(bits) {.what = T_OFF, .value = (bits)}
#define T_SET_OF(record, field, number) \
    {T_SET, offsetof(struct record, field), sizeof(((struct record *)NULL)->field), (number)}
#define SET(field, number)         T_SET_OF(ledger_transfer, field, number)
#define SET_ACCOUNT(field, number) T_SET_OF(ledger_account, field, number)

/* SPOIL(status, what is changed, ...) */
#define T_SPOILER(status, pairs, ...)    {status, pairs, #status, {__VA_ARGS__}}
#define SPOIL(status, ...)               T_SPOILER(LEDGER_TRANSFER_##status, T_WITH_ALL, __VA_ARGS__)
#define SPOIL_AMONG(status, ...)         T_SPOILER(LEDGER_TRANSFER_##status, T_AMONG, __VA_ARGS__)
#define SPOIL_ALONE(status, ...)         T_SPOILER(LEDGER_TRANSFER_##status, T_ALONE, __VA_ARGS__)
#define SPOIL_ACCOUNT(status, ...)       T_SPOILER(LEDGER_ACCOUNT_##status, T_WITH_ALL, __VA_ARGS__)
#define SPOIL_ACCOUNT_AMONG(status, ...) T_SPOILER(LEDGER_ACCOUNT_##status, T_AMONG, __VA_ARGS__)
/* clang-format on */

/* What can be wrong with the form of a transfer of either phase. */
extern const struct t_spoiler t_spoil_form[4];

#endif
