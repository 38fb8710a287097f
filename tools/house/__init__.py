"""The house checks that ./dev check runs; tools/check is the program."""
