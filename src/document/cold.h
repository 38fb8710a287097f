/*
 * cold.c: one body in two parts. Pure.
 *
 *     whole   {"amount":5,"description":"tea","status":"paid"}
 *     hot     {"cold_at":"NAME","amount":5,"description":null,"status":"paid"}
 *     cold    {"description":"tea"}
 *
 * A kind says which top-level members are cold. In the hot part each leaves null in its place, so
 * that joined they are the whole, byte for byte; NAME, always the first member, says which cold
 * part belongs to it. A body without cold members has no second part and no name.
 *
 * COLD-1  join(name(split(body))) = body. A cold member that is null itself is hot.
 * COLD-2  A hot part alone, without name and nulls, has the hot members only, in their order.
 *
 * Bodies are compact JSON text as Tael's writer makes it; anything else is ERR_CORRUPT. Results are
 * in the arena (ERR_FULL), or parts of what was given.
 */
#ifndef DOCUMENT_COLD_H
#define DOCUMENT_COLD_H

#include "document/document.h"

/* What no kind may call a member of its own. */
#define DOCUMENT_COLD_NAME_MEMBER "cold_at"

/* VERSION-SECONDS-RANDOM: decimal, decimal, 32 hex digits. False: the row has no cold part. */
bool document_cold_name(struct span hot, struct span *ret_name);
/* ret_cold is empty if nothing is cold; then ret_hot is the body itself. ERR_INVALID: the body has
 * a member that is called as the name. */
MUST_USE err_t document_cold_split(
    const struct document_kind *kind,
    struct span body,
    struct arena *arena,
    struct span *ret_hot,
    struct span *ret_cold);
/* A hot part that has no name gets one. */
MUST_USE err_t document_cold_put_name(
    struct span hot, struct span name, struct arena *arena, struct span *ret_hot);
MUST_USE err_t document_cold_join(
    const struct document_kind *kind,
    struct span hot,
    struct span cold,
    struct arena *arena,
    struct span *ret_body);
/* For whoever needs no cold member (COLD-2). */
MUST_USE err_t document_cold_strip(
    const struct document_kind *kind, struct span hot, struct arena *arena, struct span *ret_body);
/* The hot part of a body that was read stripped and is written again: the name and the nulls are
 * those of the hot part that is stored. ERR_INVALID: the body has a cold member. */
MUST_USE err_t document_cold_keep(
    const struct document_kind *kind,
    struct span body,
    struct span stored,
    struct arena *arena,
    struct span *ret_hot);

#endif
