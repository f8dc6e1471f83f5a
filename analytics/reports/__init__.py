"""What a report is and how it looks: as JSON, as CSV, as a page to print. Pure; `analytics.services.reports` fills it."""
