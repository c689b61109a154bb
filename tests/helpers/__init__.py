"""What tests share: small data sets, a fake network, real browsers and databases, killed processes."""
