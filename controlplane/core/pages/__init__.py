"""What every page of the admin stands on: the site, the record page, verbs with confirmations, the home page."""
