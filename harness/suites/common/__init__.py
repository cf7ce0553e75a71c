"""What suites share: the contract, the training loop and single steps."""
