"""The languages the relay can explain in: the book is written in English, and translated into the others."""

ENGLISH = "en"
LANGUAGES = {ENGLISH: "English", "de": "Deutsch", "fr": "Français", "es": "Español"}
