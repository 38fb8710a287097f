/*
 * The model's rules and effects, each of which a mutation can leave out.
 *
 * A file of rules is a part: it defines PART, and ends with RULES_END, which counts what stands
 * above it. The mutations are the rules of all parts, one part after the other, in the order of the
 * file.
 */
#ifndef TESTS_LEDGER_MODEL_RULES_H
#define TESTS_LEDGER_MODEL_RULES_H

#include "ledger_model_internal.h"

#define LEDGER_MODEL_RULES_MAX 100 /* of a part */

enum ledger_model_part {
    LEDGER_MODEL_TIME,
    LEDGER_MODEL_ACCOUNT,
    LEDGER_MODEL_TRANSFER,
    LEDGER_MODEL_PLAIN,
    LEDGER_MODEL_SECOND_PHASE,
    LEDGER_MODEL_BATCH,
    LEDGER_MODEL_PART_COUNT,
};

/* How many rules each part has. */
extern const int ledger_model_time_rules;
extern const int ledger_model_account_rules;
extern const int ledger_model_transfer_rules;
extern const int ledger_model_plain_rules;
extern const int ledger_model_second_phase_rules;
extern const int ledger_model_batch_rules;

/* Whether the model is not told to leave the rule out. The name is noted; a literal. */
bool ledger_model_rule_holds(
    const struct ledger_model *model, enum ledger_model_part part, int number, const char *name);

#define RULE_HOLDS(name) ledger_model_rule_holds(model, PART, __COUNTER__, name)

/* If `condition`, the answer is `status`. */
#define REFUSE(condition, prefix, status)                                                          \
    do {                                                                                           \
        if (RULE_HOLDS(#prefix ": " #status) && (condition)) {                                     \
            return LEDGER_##prefix##_##status;                                                     \
        }                                                                                          \
    } while (0)
#define REFUSE_ACCOUNT(condition, status)  REFUSE(condition, ACCOUNT, status)
#define REFUSE_TRANSFER(condition, status) REFUSE(condition, TRANSFER, status)
/* A rule that cannot be left out, since what follows could not go on; its mutation answers a
 * number that is no status. */
#define REQUIRE(condition, status)                                                                 \
    do {                                                                                           \
        bool holds_ = RULE_HOLDS("TRANSFER: " #status);                                            \
        if (!(condition)) {                                                                        \
            return holds_ ? LEDGER_TRANSFER_##status : 999;                                        \
        }                                                                                          \
    } while (0)
/* Something that is done; its mutation does not do it. */
#define EFFECT(name) RULE_HOLDS("effect: " name)

#define RULES_END(count_name)                                                                      \
    enum {                                                                                         \
        RULE_COUNT = __COUNTER__                                                                   \
    };                                                                                             \
    static_assert(RULE_COUNT <= LEDGER_MODEL_RULES_MAX, "room for the names");                     \
    const int count_name = RULE_COUNT

#endif
