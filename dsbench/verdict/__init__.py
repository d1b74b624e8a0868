"""What a sweep says about its question: is a separable network lighter, faster, better than a conventional one?"""
