/*
 * When to try again. Pure.
 *
 * A delivery: exponential back-off with full jitter ("Exponential Backoff And Jitter", AWS
 * Architecture Blog): anywhere between now and a ceiling that doubles, so that what failed together
 * does not come back together.
 *
 * An endpoint: one that fails at one thing after the other is asked by one request at a time, with
 * pauses that grow; the first success takes all of that back. So a dead endpoint costs little
 * however much waits for it, and what waits is sent as soon as it is up again.
 */
#ifndef EVENTS_SCHEDULE_H
#define EVENTS_SCHEDULE_H

#include "events/events.h"

/* Failures in a row from which on an endpoint is paced. */
#define EVENTS_SERIES_MIN 5
/* The longest pause between requests to it. */
#define EVENTS_PAUSE_MAX_MS 10000

/* Milliseconds until retry number `tries` (from 1): 1 to its ceiling, by `random`. */
int64_t events_schedule_delay_ms(
    const struct events_schedule *schedule, int64_t tries, uint64_t random);

/* Milliseconds to leave an endpoint alone after so many failures in a row; 0: none. Not longer
 * than a first retry takes. */
int64_t events_schedule_pause_ms(const struct events_schedule *schedule, uint32_t failures);

/* How many requests an endpoint may have under way after this one, given how many it had. */
uint32_t events_schedule_window(uint32_t window, uint32_t window_max, bool succeeded);

#endif
