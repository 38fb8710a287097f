/* What `tael ledger accounts` and `tael ledger transfers` have in common. */
#ifndef TAEL_LEDGER_LIST_H
#define TAEL_LEDGER_LIST_H

#include "client.h"
#include "ledger.h"

#define LEDGER_LIST_MAX      2700
#define LEDGER_LIST_MAX_TEXT "2700"
#define LEDGER_BODY_MAX      (1U << 20) /* of a question */

struct ledger_list_options {
    struct client_options client;
    char account[80];
    char merchant[80];
    char currency[8];
    char since[48];
    char until[48];
    int64_t ledger;
    int64_t code;
    int64_t limit;
    bool live;
    bool reversed;
    bool wide;
    bool consistent; /* of accounts only */
};

/* What the options ask for. */
struct ledger_filter {
    u128 account;  /* 0: any; of one by name the id that nobody placed */
    uint16_t role; /* of an account by name; 0: `account` is its id */
    const char *merchant;
    u128 wallet; /* of a wallet's account by name: the number in the wallet's id; else 0 */
    uint32_t ledger;
    uint64_t since_ns;
    uint64_t until_ns;
};

int ledger_filter_read(
    const struct command *command,
    const struct ledger_list_options *options,
    struct ledger_filter *ret_filter);
/* {"op":...,"filter":{...}} */
void ledger_filter_write(
    struct buf *out,
    const char *operation,
    const struct ledger_list_options *options,
    const struct ledger_filter *filter);
/* {"accounts":[...],"consistent":...} */
void ledger_write_lookup(struct buf *out, const u128 *accounts, size_t count, bool consistent);
/* As client_call, of a JSON body. */
int ledger_post(
    struct client *client, const char *path, const struct buf *body, struct client_answer *answer);

/* The accounts that the filter's names, at least one. */
struct ledger_named {
    bool is_part; /* of a list: there may be more */
    size_t count;
    u128 ids[LEDGER_LIST_MAX];
};

/* Asks the server where they are. The platform's without a merchant: all that there are, at most
 * LEDGER_LIST_MAX. COMMAND_GO_ON, or the exit status after a message. The caller frees. */
int ledger_named_find(
    struct client *client, const struct ledger_filter *filter, struct ledger_named **ret_named);
/* The same of what the options ask for, without what the ledger's protocols have between shards: as
 * many as can be read consistently. */
int ledger_named_list(
    struct client *client,
    const struct ledger_list_options *options,
    const struct ledger_filter *filter,
    struct ledger_named **ret_named);

/* Both print what they find, as a table or as JSON, and return the exit status. */
int ledger_list_accounts(
    struct client *client,
    const struct ledger_list_options *options,
    const struct ledger_filter *filter);
int ledger_list_transfers(
    struct client *client,
    const struct ledger_list_options *options,
    const struct ledger_filter *filter);

/* Members of a record in JSON; 0 if absent. */
u128 ledger_member_u128(const struct json_value *object, const char *name);
uint32_t ledger_member_u32(const struct json_value *object, const char *name);
void ledger_cell_u128(struct show_table *table, enum show_style style, u128 value);
/* "merchant pending", or the id of an account that the chart does not know. */
void ledger_cell_account(struct show_table *table, const struct json_value *account, u128 id);

#endif
