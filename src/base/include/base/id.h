/*
 * Identifiers. An id is 128 bits: 48 bits of unix milliseconds, then 80 bits that start random in
 * each millisecond and count up within it, so that the ids of one generator strictly increase.
 *
 * A public id is a type prefix and 22 base-62 digits of fixed width ("pi_0K7mQx..."). The digits
 * are in ASCII order, so text order, id order and creation order agree: lists are sorted by id.
 * An id is not a secret: what must not be guessed carries a secret of its own.
 */
#ifndef BASE_ID_H
#define BASE_ID_H

#include "base/u128.h"

#define ID_DIGITS     22
#define ID_PREFIX_MAX 8
#define ID_TEXT_SIZE  (ID_PREFIX_MAX + ID_DIGITS + 1)

struct id_generator {
    u128 last; /* 0 before the first */
};

/* `random` are fresh random bits (80 are used). Never returns 0 or a value not above the last;
 * a clock that went back does not matter. */
u128 id_next(struct id_generator *generator, uint64_t unix_ms, u128 random);

/* The creation time inside an id. */
uint64_t id_unix_ms(u128 id);

/* The smallest id of a millisecond: lists filter by `created` through it. */
u128 id_floor(uint64_t unix_ms);

/* Writes prefix, digits and a zero; returns the length. The prefix includes its underscore and has
 * at most ID_PREFIX_MAX bytes. */
size_t id_format(const char *prefix, u128 id, char out[ID_TEXT_SIZE]);

/* Reads exactly what id_format writes. */
bool id_parse(const char *prefix, struct span text, u128 *ret_id);

#endif
