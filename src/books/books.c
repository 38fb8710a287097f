#include "books/books.h"

#include "base/assert.h"
#include "base/buf.h"
#include "port/ledger.h"
#include "resource/resource.h"
#include "shard/shard.h"

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
