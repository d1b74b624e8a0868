"""Budgets: the width at which a network costs what was asked for."""
