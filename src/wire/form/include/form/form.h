/*
 * application/x-www-form-urlencoded with the bracket syntax of Stripe's API, for bodies and query
 * strings: a[b][c]=, a[0]=, a[]=, a[0][k]=; brackets raw or %5B %5D; spaces + or %20.
 *
 * The result is a tree in an arena. Limits bound everything. The text must be UTF-8 without zero
 * bytes. Decoded values are copies in the arena (never elsewhere), so wiping the arena wipes them.
 *
 * FORM-1  A node is a text, a hash or an array, never two of them.
 * FORM-2  Each name occurs once; a repeated one is an error that names it.
 * FORM-3  Which it is does not depend on the order of the parameters: a node whose keys are all
 *         [] or all indexes (0 to 999999, written without leading zeros) is an array; one key that
 *         is no index makes it a hash, whose keys keep their digits. So metadata[7]= is an array
 *         to the codec and a key "7" to who reads the children's names.
 */
#ifndef FORM_FORM_H
#define FORM_FORM_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#define FORM_PARAMS_MAX 1000
#define FORM_DEPTH_MAX  8
#define FORM_NAME_MAX   256 /* decoded bytes of a whole name */
#define FORM_CHILDREN_MAX                                                                          \
    256 /* of one hash or array, the root too: bounds the search for a key                         \
         */
#define FORM_INDEX_MAX    999999
#define FORM_MESSAGE_SIZE 384 /* more than any message, with the longest name in it */

enum form_kind {
    FORM_TEXT,
    FORM_HASH,
    FORM_ARRAY,
};

struct form_node {
    enum form_kind kind;
    struct span name; /* its key in the parent, digits for a[0]; empty for the root and a[] */
    uint32_t index;   /* in a parent array: the index as sent, for a[] counted from 0 */
    uint32_t child_count;
    struct span text; /* FORM_TEXT: the decoded value, may be empty */
    struct form_node *parent;
    struct form_node *first_child; /* in the order of the input (arrays: by index) */
    struct form_node *last_child;
    struct form_node *next;
};

/* An empty root hash; NULL when the arena is full. */
struct form_node *form_empty(struct arena *arena);

/* ERR_INVALID or ERR_FULL with a message for people; ret_param is the full name of the offending
 * parameter (empty if there is none), both in the arena. */
MUST_USE err_t form_parse(
    struct span text,
    struct arena *arena,
    struct form_node **ret_root,
    struct span *ret_param,
    struct span *ret_message);

/* The child of a hash, or of an array with written indexes, by name; or NULL (also when `node` is
 * NULL or a text). */
struct form_node *form_child(const struct form_node *node, struct span name);
/* By full bracket name from the root: "payment_method_data[card][number]"; NULL if absent. */
struct form_node *form_find(const struct form_node *root, const char *name);
/* Unlinks a node from its parent. */
void form_remove(struct form_node *node);
/* The node's full name: "items[0][price]"; in the arena, empty when that is full. */
struct span form_full_name(const struct form_node *node, struct arena *arena);

/* Writing, for clients: appends "&name=value" (no & at the start of an empty buffer), encoded;
 * the brackets of the name stay as they are. */
void form_append(struct buf *out, const char *name, struct span value);
void form_append_i64(struct buf *out, const char *name, int64_t value);

#endif
