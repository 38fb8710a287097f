#include "journal_format.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

static _Alignas(16) char frame[3 * JOURNAL_BLOCK];

static struct ledger_event
t_event(uint8_t kind, u128 balance)
{
    struct ledger_event event;
    memset(&event, 0, sizeof(event));
    event.transfer.id = U128_MAX - 1;
    event.transfer.amount = 5;
    event.transfer.timestamp = 77;
    event.timestamp = kind == LEDGER_EVENT_TWO_PHASE_EXPIRED ? 99 : 77;
    event.debit.debits_posted = balance;
    event.credit.credits_pending = balance;
    event.debit_slot = 3;
    event.credit_slot = 4;
    event.debit_flags = LEDGER_ACCOUNT_CLOSED;
    event.credit_flags = LEDGER_ACCOUNT_HISTORY;
    event.kind = kind;
    return event;
}

static void
events_come_back(void **state)
{
    (void)state;
    for (uint8_t kind = 1; kind <= (uint8_t)LEDGER_EVENT_TWO_PHASE_EXPIRED; kind++) {
        for (int wide = 0; wide < 2; wide++) {
            struct ledger_event event = t_event(kind, wide ? U128_MAX : UINT64_MAX);
            struct ledger_event again;
            struct journal_event raw;
            char data[JOURNAL_EVENT_WIDE];
            journal_event_encode(&event, 160, 320, wide, data);
            uint64_t size = wide ? JOURNAL_EVENT_WIDE : JOURNAL_EVENT_NARROW;
            assert_int_equal(journal_event_decode(data, size, &again, &raw), ERR_OK);
            assert_memory_equal(&event, &again, sizeof(event));
            assert_int_equal(journal_event_decode(data, size - 1, &again, &raw), ERR_CORRUPT);
            bool expiry = kind == LEDGER_EVENT_TWO_PHASE_EXPIRED;
            assert_int_equal(raw.debit_link, expiry ? 99 : 160);
            assert_int_equal(raw.credit_link, expiry ? 0 : 320);
        }
    }
}

static void
malformed_events_are_refused(void **state)
{
    (void)state;
    struct ledger_event event = t_event(LEDGER_EVENT_SINGLE_PHASE, 1);
    struct journal_event raw;
    char data[JOURNAL_EVENT_WIDE] = {0};

    static const struct {
        size_t offset;
        char value;
    } cases[] = {
        {offsetof(struct journal_event, kind), 0},
        {offsetof(struct journal_event, kind), 6},
        {offsetof(struct journal_event, wide), 2},
        {offsetof(struct journal_event, zero), 1},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        journal_event_encode(&event, 0, 0, false, data);
        data[cases[i].offset] = cases[i].value;
        assert_int_equal(journal_event_decode(data, JOURNAL_EVENT_WIDE, &event, &raw), ERR_CORRUPT);
        event = t_event(LEDGER_EVENT_SINGLE_PHASE, 1);
    }
}

static void
sections_come_back(void **state)
{
    (void)state;
    struct ledger_account account = {.id = 1, .ledger = 2, .code = 3, .timestamp = 4};
    struct ledger_event event = t_event(LEDGER_EVENT_SINGLE_PHASE, 9);
    u128 failed[2] = {8, 9};
    struct ledger_delta delta = {
        .accounts = &account,
        .account_count = 1,
        .events = &event,
        .event_count = 1,
        .failed_ids = failed,
        .failed_count = 2,
        .clock = 1000,
    };
    assert_false(journal_delta_is_wide(&delta));
    struct journal_section made = journal_section_encode(&delta, false, frame);
    struct journal_section section;
    const char *reason = NULL;
    assert_int_equal(journal_section_decode(frame, sizeof(frame), &section, &reason), ERR_OK);
    assert_int_equal(section.header.size, journal_section_size(1, 1, 2, false));
    assert_int_equal(section.header.clock, 1000);
    assert_ptr_equal(section.events, made.events);
    assert_memory_equal(section.accounts, &account, sizeof(account));
    assert_memory_equal(section.failed, failed, sizeof(failed));
    assert_int_equal(
        journal_section_decode(frame, section.header.size - 1, &section, &reason), ERR_CORRUPT);
    frame[0]++;
    assert_int_equal(journal_section_decode(frame, sizeof(frame), &section, &reason), ERR_CORRUPT);
    event = t_event(LEDGER_EVENT_SINGLE_PHASE, (u128)UINT64_MAX + 1);
    assert_true(journal_delta_is_wide(&delta));
}

/* JOURNAL-1: every single bit of a frame. */
static void
frames_are_covered(void **state)
{
    (void)state;
    struct journal_frame_header header = {.sequence = 7, .body_size = 48, .size = JOURNAL_BLOCK};
    memset(frame, 0, sizeof(frame));
    memset(frame + sizeof(header), 0x5a, 48);
    journal_frame_pad(frame, header.body_size);
    journal_frame_seal(&header, frame);
    const char *reason = NULL;
    assert_true(journal_frame_peek(frame, &header));
    assert_int_equal(journal_frame_verify(frame, &header, &reason), ERR_OK);
    for (size_t bit = 0; bit < (size_t)JOURNAL_BLOCK * 8; bit++) {
        frame[bit / 8] = (char)(frame[bit / 8] ^ (1 << (bit % 8)));
        bool found = !journal_frame_peek(frame, &header) || header.size != JOURNAL_BLOCK ||
                     journal_frame_verify(frame, &header, &reason) != ERR_OK;
        assert_true(found);
        frame[bit / 8] = (char)(frame[bit / 8] ^ (1 << (bit % 8)));
    }
}

static void
segment_headers_are_covered(void **state)
{
    (void)state;
    struct journal_segment_header header = {
        .identity = 5,
        .number = 3,
        .segment_size = JOURNAL_SEGMENT_MIN,
        .first_sequence = 9,
        .previous_end = 8192,
        .chain = 6,
    };
    struct journal_segment_header again;
    const char *reason = NULL;
    journal_segment_encode(&header, frame);
    assert_int_equal(journal_segment_decode(frame, &again, &reason), ERR_OK);
    assert_true(again.identity == 5 && again.chain == 6 && again.number == 3);
    for (size_t bit = 0; bit < (size_t)JOURNAL_BLOCK * 8; bit++) {
        frame[bit / 8] = (char)(frame[bit / 8] ^ (1 << (bit % 8)));
        assert_int_not_equal(journal_segment_decode(frame, &again, &reason), ERR_OK);
        frame[bit / 8] = (char)(frame[bit / 8] ^ (1 << (bit % 8)));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_come_back),
        cmocka_unit_test(malformed_events_are_refused),
        cmocka_unit_test(sections_come_back),
        cmocka_unit_test(frames_are_covered),
        cmocka_unit_test(segment_headers_are_covered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
