"""How values sound: spoken forms of numbers, money, dates, ids, and reading them back."""
