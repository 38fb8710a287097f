/* What a card number says about itself: digits, check digit, brand, and the test tokens. */
#ifndef VAULT_CARD_H
#define VAULT_CARD_H

#include "port/vault.h"

#define VAULT_NUMBER_MIN  12
#define VAULT_NUMBER_MAX  19
#define VAULT_NUMBER_SIZE (VAULT_NUMBER_MAX + 1)

/* Digits of the number (spaces and dashes between them are dropped) and a zero; false if it holds
 * anything else or has a wrong length. */
bool vault_card_digits(struct span number, char out[VAULT_NUMBER_SIZE]);
/* ISO/IEC 7812-1 annex B. */
bool vault_card_check_digit(const char *digits);
/* Fills brand, network, funding, country, last4 and bin. */
void vault_card_describe(const char *digits, struct port_vault_card *card);
bool vault_card_cvc_is_valid(const char *brand, struct span cvc);
/* The number behind "pm_card_visa" or "tok_visa", or NULL. */
const char *vault_card_of_test_token(struct span token);

#endif
