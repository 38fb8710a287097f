/* --roles: what this process is, and what cannot be. */
#include "node.h"

#include <string.h>

static const struct {
    const char *name;
    uint32_t parts;
} names[] = {
    {"all", NODE_ALL},
    {"ledger", NODE_LEDGER},
    {"vault", NODE_VAULT},
    {"cards", NODE_CARDS},
    {"bank", NODE_BANK},
    {"payments", NODE_PAYMENTS},
    {"wallets", NODE_WALLETS},
    {"mobile", NODE_MOBILE},
    {"events", NODE_EVENTS},
    {"api", NODE_API},
};

#define NAME_COUNT (sizeof(names) / sizeof(names[0]))

static bool
parts_parse(struct node *node)
{
    struct span rest = span_from_cstr(node->settings.roles);
    node->parts = 0;
    while (rest.size > 0) {
        struct span name = span_trim(span_cut(&rest, ','));
        size_t found = 0;
        while (found < NAME_COUNT && !span_equal_cstr(name, names[found].name)) {
            found++;
        }
        if (found == NAME_COUNT) {
            node_explain(
                node,
                "roles: there is no role '%.*s'; there are all, ledger, vault, cards, bank, "
                "payments, wallets, mobile, events and api",
                (int)(name.size < 40 ? name.size : 40),
                name.data);
            return false;
        }
        node->parts |= names[found].parts;
    }
    if (node->parts == 0) {
        node_explain(node, "roles: which?");
    }
    /* The simulated bank is with the wallets, unless a deployment says that it is elsewhere. */
    if ((node->parts & NODE_WALLETS) != 0 && node->settings.bank_at[0] == '\0') {
        node->parts |= NODE_BANK;
    }
    return node->parts != 0;
}

/* One SQLite database has one process. */
static bool
documents_are_together(struct node *node)
{
    char memory[NODE_ROLES_SIZE];
    struct buf missing;
    uint32_t here = node->parts & NODE_DOCUMENTS;
    if (here == 0 || here == NODE_DOCUMENTS) {
        return true;
    }
    buf_init_fixed(&missing, memory, sizeof(memory));
    for (size_t i = 1; i < NAME_COUNT; i++) {
        if ((names[i].parts & NODE_DOCUMENTS) != 0 && (names[i].parts & node->parts) == 0) {
            buf_append_format(&missing, "%s%s", missing.size == 0 ? "" : ",", names[i].name);
        }
    }
    node_explain(
        node,
        "roles: payments, wallets, mobile, events and api share their documents, and so are one "
        "process; add %.*s",
        SPAN_PRINTF(buf_span(&missing)));
    return false;
}

struct need {
    uint32_t who;  /* any of these */
    uint32_t what; /* has to have this, here or elsewhere */
    const char *who_name, *what_name, *setting;
    const char *at;
};

static bool
need_is_met(struct node *node, const struct need *need)
{
    bool here = (node->parts & need->what) != 0;
    bool needed = (node->parts & need->who) != 0;
    bool elsewhere = need->at[0] != '\0';
    if (elsewhere && (here || !needed)) {
        node_explain(
            node,
            here ? "%s says where the %s is, but roles has it here"
                 : "%s says where the %s is, but no role of this process asks it",
            need->setting,
            need->what_name);
        return false;
    }
    if (needed && !here && !elsewhere) {
        node_explain(
            node,
            "roles: %s needs the %s; add %s to roles, or say where it is with %s",
            need->who_name,
            need->what_name,
            need->what_name,
            need->setting);
        return false;
    }
    return true;
}

static bool
needs_are_met(struct node *node)
{
    const struct node_settings *settings = &node->settings;
    /* The map is that of a shard's own process too. */
    bool is_shard = settings->shard[0] != '\0';
    const char *ledger = is_shard                             ? ""
                         : settings->ledger_shards[0] != '\0' ? settings->ledger_shards
                                                              : settings->ledger_at;
    const struct need needs[] = {
        {NODE_DOCUMENTS,
         NODE_LEDGER,
         "api",
         "ledger",
         settings->ledger_shards[0] != '\0' ? "ledger-shards" : "ledger-at",
         ledger},
        {NODE_DOCUMENTS, NODE_CARDS, "api", "cards", "cards-at", settings->cards_at},
        {NODE_DOCUMENTS | NODE_CARDS,
         NODE_VAULT,
         (node->parts & NODE_DOCUMENTS) != 0 ? "api" : "cards",
         "vault",
         "vault-at",
         settings->vault_at},
        {NODE_WALLETS, NODE_BANK, "wallets", "bank", "bank-at", settings->bank_at},
    };

    for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
        if (!need_is_met(node, &needs[i])) {
            return false;
        }
    }
    if ((node->parts & NODE_API) == 0 && settings->internal_listen[0] == '\0') {
        node_explain(node, "roles: without api nobody could reach this process: internal-listen");
        return false;
    }
    return true;
}

static bool
shard_is_alone(struct node *node)
{
    const struct node_settings *settings = &node->settings;
    if (settings->ledger_shards[0] != '\0' && settings->ledger_at[0] != '\0') {
        node_explain(node, "ledger-shards and ledger-at: the ledger is one, or several");
        return false;
    }
    if (settings->shard[0] == '\0') {
        return true;
    }
    if (settings->ledger_shards[0] == '\0' || node->parts != NODE_LEDGER) {
        node_explain(node, "shard: needs ledger-shards, and roles=ledger alone");
        return false;
    }
    return true;
}

bool
node_parts_choose(struct node *node)
{
    return parts_parse(node) && shard_is_alone(node) && documents_are_together(node) &&
           needs_are_met(node);
}
