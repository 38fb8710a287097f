/* What parsing and looking up share: how a name is cut into keys. */
#ifndef FORM_FORM_PRIVATE_H
#define FORM_FORM_PRIVATE_H

#include "form/form.h"

/* Takes the next key off a decoded name: `a` off `a[b][c]` first, then `b` off `[b][c]`. False for
 * brackets that do not pair. `rest` must not be empty unless it is the first. */
bool form_name_next(struct span *rest, bool first, struct span *ret_key);

/* A key that is an array index: 0 to FORM_INDEX_MAX, no leading zeros. */
bool form_index_parse(struct span key, uint32_t *ret_index);

#endif
