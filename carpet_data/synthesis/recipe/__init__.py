"""Recipes: read strictly, validated, with an identity that later versions keep."""
