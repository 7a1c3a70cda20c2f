"""The page that people see: its files, its HTML and headers, and which screens belong into whose menu."""
