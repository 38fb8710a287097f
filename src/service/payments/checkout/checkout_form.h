/* What a payer enters on the page of a checkout session, and what is wrong with it. Pure. */
#ifndef PAYMENTS_CHECKOUT_FORM_H
#define PAYMENTS_CHECKOUT_FORM_H

#include "port/vault.h"

/* "12/30", "12 / 2030", "1230", "1-30"; false if it is no month of this century. */
bool payments_checkout_expiry_read(struct span text, int64_t *ret_month, int64_t *ret_year);
/* Whether it looks like an e-mail address; whether it is one only a message to it shows. */
bool payments_checkout_email_is_sound(struct span text);
/* Something is entered, and it is not the card's number: what stands here is kept, and shown. */
bool payments_checkout_name_is_sound(struct span text);

/* Beside a field each, or above the form; NULL: nothing is wrong there. Static words. */
struct payments_checkout_errors {
    const char *form;
    const char *number;
    const char *expiry;
    const char *cvc;
    const char *name;
    const char *email;
};

bool payments_checkout_errors_any(const struct payments_checkout_errors *errors);
/* What the vault found; PORT_VAULT_OK and PORT_VAULT_UNKNOWN_TOKEN are no errors of the payer's. */
void payments_checkout_errors_of_card(
    enum port_vault_outcome outcome, struct payments_checkout_errors *errors);
/* What became of the last try, by the code of its error and what the issuer said. */
void payments_checkout_errors_of_try(
    struct span code, struct span decline_code, struct payments_checkout_errors *errors);

#endif
