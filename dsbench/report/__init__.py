"""A sweep as a page: its verdict, tables, pictures, and how it was measured."""
