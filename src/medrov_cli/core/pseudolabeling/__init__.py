"""Boxes that nobody drew: a teacher's proposals, judged by what each source annotates."""
