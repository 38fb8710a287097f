#include "journal_filter.h"

#include "base/assert.h"
#include "os/large.h"

static size_t
bank_size(uint64_t word_count, uint32_t lanes)
{
    return word_count * lanes * sizeof(uint64_t);
}

static err_t
bank_create(struct journal_filter_bank *bank, uint32_t lanes, uint64_t word_count)
{
    ASSERT(bank->taken == 0);
    ASSERT(lanes > 0 && lanes <= JOURNAL_FILTER_LANES_MAX);
    uint64_t *words = os_large_alloc(bank_size(word_count, lanes));
    if (words == NULL) {
        return ERR_MEMORY;
    }
    os_large_free(bank->words, bank_size(bank->word_count, bank->lanes));
    *bank = (struct journal_filter_bank){.words = words, .word_count = word_count, .lanes = lanes};
    return ERR_OK;
}

void
journal_filter_bank_release(struct journal_filter_bank *bank)
{
    ASSERT(bank->taken == 0);
    os_large_free(bank->words, bank_size(bank->word_count, bank->lanes));
    *bank = (struct journal_filter_bank){0};
}

static bool
lane_is_free(const struct journal_filter_bank *bank, uint64_t word_count)
{
    return bank->words != NULL && bank->word_count == word_count &&
           bank->taken != (UINT32_C(1) << bank->lanes) - 1;
}

err_t
journal_filter_take(
    struct journal_filter *filter,
    struct journal_filter_bank *bank,
    uint32_t lanes,
    uint64_t word_count)
{
    ASSERT(filter->bank == NULL);
    ASSERT(word_count > 0);
    if (bank != NULL && bank->taken == 0 && bank->word_count != word_count) {
        TRY(bank_create(bank, lanes, word_count));
    }
    if (bank == NULL || !lane_is_free(bank, word_count)) {
        bank = &filter->own;
        TRY(bank_create(bank, 1, word_count));
    }
    filter->bank = bank;
    filter->lane = (uint32_t)__builtin_ctz(~bank->taken);
    bank->taken |= UINT32_C(1) << filter->lane;
    return ERR_OK;
}

void
journal_filter_give_back(struct journal_filter *filter)
{
    struct journal_filter_bank *bank = filter->bank;
    if (bank == NULL) {
        return;
    }
    ASSERT(bank->taken >> filter->lane & 1);
    bank->taken &= ~(UINT32_C(1) << filter->lane);
    filter->bank = NULL;
    if (bank == &filter->own) {
        journal_filter_bank_release(bank);
    }
}

void
journal_filter_write(
    struct journal_filter *filter, uint64_t first, const uint64_t *words, uint64_t count)
{
    struct journal_filter_bank *bank = filter->bank;
    ASSERT(first + count <= bank->word_count);
    uint64_t *to = bank->words + first * bank->lanes + filter->lane;
    for (uint64_t i = 0; i < count; i++) {
        to[i * bank->lanes] = words[i];
    }
}

uint32_t
journal_filter_view_add(
    struct journal_filter_view *views,
    uint32_t count,
    const struct journal_filter *filter,
    uint32_t group)
{
    const struct journal_filter_bank *bank = filter->bank;
    ASSERT(bank != NULL);
    uint32_t at = 0;
    while (at < count && views[at].words != bank->words) {
        at++;
    }
    struct journal_filter_view *view = &views[at];
    if (at == count) {
        *view = (struct journal_filter_view){
            .words = bank->words, .word_count = bank->word_count, .stride = bank->lanes};
        count++;
    }
    ASSERT(view->count < JOURNAL_FILTER_LANES_MAX);
    view->lanes[view->count] = (uint8_t)filter->lane;
    view->groups[view->count++] = (uint8_t)group;
    view->fetched = view->fetched > filter->lane ? view->fetched : filter->lane + 1;
    return count;
}
