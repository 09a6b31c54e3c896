"""How much of the vendor's hourly limits may be spent, and when: pure, driven by the times it is given."""
