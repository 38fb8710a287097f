#include "books/books.h"

#include "base/assert.h"
#include "base/buf.h"
#include "base/hash.h"
#include "port/ledger.h"
#include "resource/resource.h"
#include "shard/shard.h"

#include <string.h>

enum {
    TEST_OFFSET = 1000,
    PLATFORM_BELOW = 200,
};

uint32_t
books_ledger_number(const struct currency *currency, bool live)
{
    return (uint32_t)currency->number + (live ? 0 : TEST_OFFSET);
}

bool
books_ledger_is_ours(uint32_t ledger)
{
    uint32_t number = ledger > TEST_OFFSET ? ledger - TEST_OFFSET : ledger;
    return number <= UINT16_MAX && currency_by_number((uint16_t)number) != NULL;
}

u128
books_account_id(
    enum books_account account, const char *owner, const struct currency *currency, bool live)
{
    char step[96];
    struct buf name;
    buf_init_fixed(&name, step, sizeof(step));
    buf_append_format(
        &name,
        "account %d %s %s",
        (int)account,
        (int)account < PLATFORM_BELOW ? "platform" : owner,
        currency->code);
    buf_append_byte(&name, '\0');
    ASSERT(!buf_failed(&name));
    return resource_derived_id(books_ledger_number(currency, live), step);
}

/* Ids differ in their last characters, so those are enough to spread them. */
static struct books_memo_entry *
memo_place(
    struct books_memo *memo, enum books_account account, const char *owner, size_t owner_size)
{
    static_assert((BOOKS_MEMO_COUNT & (BOOKS_MEMO_COUNT - 1)) == 0, "a mask");
    uint64_t tail = 0;
    size_t size = owner_size < sizeof(tail) ? owner_size : sizeof(tail);
    memcpy(&tail, owner + owner_size - size, size);
    return &memo->entries[hash_u64(tail ^ (uint64_t)account << 32) & (BOOKS_MEMO_COUNT - 1)];
}

u128
books_account_id_by(
    struct books_memo *memo,
    enum books_account account,
    const char *owner,
    const struct currency *currency,
    bool live)
{
    size_t size = strlen(owner);
    if (size >= sizeof(memo->entries[0].owner)) {
        return books_account_id(account, owner, currency, live);
    }
    struct books_memo_entry *entry = memo_place(memo, account, owner, size);
    bool is_it = entry->currency == currency && entry->account == account && entry->live == live &&
                 memcmp(entry->owner, owner, size + 1) == 0;
    if (!is_it) {
        entry->id = books_account_id(account, owner, currency, live);
        entry->currency = currency;
        entry->account = account;
        entry->live = live;
        memcpy(entry->owner, owner, size + 1);
    }
    return entry->id;
}

u128
books_account_place(u128 id, const struct port_ledger *ledger, const char *owner)
{
    return ledger->sharded ? shard_id_place(id, shard_slot(span_from_cstr(owner))) : id;
}

const char *
books_wallet_slot_owner(
    const struct port_ledger *ledger, const char *merchant_id, const char *wallet_id)
{
    return ledger->wallets_apart ? wallet_id : merchant_id;
}
