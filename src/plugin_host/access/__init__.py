"""Who may do what: roles of people, conditions on rows, rules, and the decisions they give."""
