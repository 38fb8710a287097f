/*
 * What a wallet is found by besides its id: an e-mail address, a phone number, a handle. Each is
 * kept in one spelling, so that equal ones are equal texts.
 *
 * Pure functions, any thread.
 */
#ifndef WALLETS_ALIAS_H
#define WALLETS_ALIAS_H

#include "base/arena.h"

enum wallets_alias_kind {
    WALLETS_ALIAS_EMAIL,  /* lower case; RFC 5321 section 4.5.3.1 bounds its length */
    WALLETS_ALIAS_PHONE,  /* E.164: "+" and 7 to 15 digits, without spaces */
    WALLETS_ALIAS_HANDLE, /* a letter, then letters, digits, "_", "." or "-"; 3 to 30, lower case */
};

#define WALLETS_ALIAS_MAX 254

/* The one spelling, in the arena; false if it is no such alias (or the arena is full). */
bool wallets_alias_normalize(
    enum wallets_alias_kind kind, struct span text, struct arena *arena, struct span *ret_alias);

/* Which kind a text that may be any of them is: with "@" inside an e-mail address, with "+" first a
 * phone number, else a handle (which may have "@" or "$" in front). */
enum wallets_alias_kind wallets_alias_kind_of(struct span text);

#endif
